//! Cutting torn ends off the logs of a closed browser's databases, before it is started again.
//!
//! A killed browser may leave half a record at the end of a log. The next one reads up to there, and appends behind it: what it writes
//! then lies behind damage. Nothing that a browser would read is removed.
#![expect(clippy::disallowed_methods, reason = "a browser keeps its profile on the real disk")]

use std::fs::OpenOptions;
use std::path::Path;

use crate::error::Result;

use super::snapshot::{SnapshotRequest, Writer, take};
use crate::platform::host::Host;

/// Cuts torn ends off the logs in `directory`, where no browser runs. Gives the number of logs. A profile that is not whole is left as
/// it is: the browser decides.
pub fn mend(host: &dyn Host, directory: &Path) -> Result<usize> {
    let request = SnapshotRequest {
        directory: directory.to_owned(),
        scratch: directory.to_owned(),
        writer: Writer::None,
        extra: Vec::new(),
    };
    let Ok(snapshot) = take(host, &request) else { return Ok(0) };
    let mut cut = 0;
    for file in snapshot.files.iter().filter(|file| file.size < file.mark.size) {
        let open = || {
            let log = OpenOptions::new().write(true).open(&file.at)?;
            log.set_len(file.size)?;
            log.sync_all()
        };
        open().map_err(|error| super::scan::unreadable(&file.path, &error))?;
        cut += 1;
    }
    Ok(cut)
}
