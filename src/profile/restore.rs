//! Restores: a generation becomes a folder, whole or not at all.
//!
//! Every pack is opened with its seal and every piece checked by its hash. The folder is made beside its place, synced and then
//! renamed: a crash leaves what was there before. An older generation is given only where it was asked for (I17).
#![expect(clippy::disallowed_methods, reason = "a browser keeps its profile on the real disk")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};

use crate::error::{Cause, Code, Error, Result};
use crate::ownership::tenancy::Tenancy;
use crate::platform::host::blocking;
use crate::session::Session;

use super::catalog::{Catalog, Files};
use super::cut::hash;
use super::entry::{FileVersion, Pack, Piece};
use super::holds::sync_folder;

/// Packs of one restore that are fetched at once.
const PARALLEL: usize = 4;

/// Outcome of a restore.
#[derive(Debug, Clone)]
pub struct RestoreOutcome {
    /// The generation.
    pub generation: u64,
    /// Its files and their bytes.
    pub files: usize,
    pub bytes: u64,
}

/// A piece of a pack, and its place in a file.
struct Target {
    file: PathBuf,
    at: u64,
    piece: Piece,
}

/// Restores `generation`, or the newest one, to the folder `to`, which must not be there.
pub async fn restore(session: &Session, to: PathBuf, generation: Option<u64>) -> Result<RestoreOutcome> {
    let catalog = session.journal().read(Catalog::read)??;
    restore_from(&session.owner()?.tenancy, &catalog, to, generation).await
}

/// The same from a state that was read otherwise.
pub async fn restore_from(
    tenancy: &Tenancy,
    catalog: &Catalog,
    to: PathBuf,
    generation: Option<u64>,
) -> Result<RestoreOutcome> {
    let generation = generation.or_else(|| catalog.head.map(|head| head.generation)).unwrap_or_default();
    let files = catalog.at(generation)?;
    let staged = staged(&to)?;
    let host = tenancy.host();
    let (place, plan) = (staged.clone(), begin_plan(&files)?);
    let goal = to.clone();
    blocking(host, move || begin(&place, &goal, &plan).map_err(unwritten)).await?;
    let fetched = fetch(tenancy, catalog, &files, &staged).await;
    if let Err(error) = fetched {
        let place = staged.clone();
        let _ = blocking(host, move || fs::remove_dir_all(place)).await;
        return Err(error);
    }
    let sizes: Vec<PathBuf> = files.keys().map(|path| relative(path)).collect::<Result<_>>()?;
    blocking(host, move || finish(&staged, &to, &sizes).map_err(unwritten)).await?;
    let bytes = files.values().map(|version| version.size).sum();
    Ok(RestoreOutcome { generation, files: files.len(), bytes })
}

/// The folder that a restore to `to` is made in.
fn staged(to: &Path) -> Result<PathBuf> {
    let name = to.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| Error::new(Code::InvalidOption, "the folder to restore to needs a name"))?;
    Ok(to.with_file_name(format!(".{name}.staged")))
}

/// A path of the state as one below the profile. What leads elsewhere is not written.
fn relative(path: &str) -> Result<PathBuf> {
    let below = Path::new(path);
    let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !is_plain || path.contains('\\') || path.contains(':') {
        return Err(Error::new(
            Cause::Damaged,
            "the state of this profile names a file outside of it; see the runbook",
        ));
    }
    Ok(below.to_owned())
}

/// Files to make, with their sizes and permissions.
fn begin_plan(files: &Files<'_>) -> Result<Vec<(PathBuf, u64, u32)>> {
    files.iter().map(|(path, version)| Ok((relative(path)?, version.size, version.mode))).collect()
}

fn begin(staged: &Path, to: &Path, plan: &[(PathBuf, u64, u32)]) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the folder is there already"));
    }
    // Left by a restore that did not end.
    match fs::remove_dir_all(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    make_private(staged)?;
    for (path, size, mode) in plan {
        let path = staged.join(path);
        if let Some(folder) = path.parent() {
            make_private(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, (mode & 0o700) | 0o600);
        #[cfg(not(unix))]
        let _ = mode;
        options.open(path)?.set_len(*size)?;
    }
    Ok(())
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

async fn fetch(tenancy: &Tenancy, catalog: &Catalog, files: &Files<'_>, staged: &Path) -> Result<()> {
    let mut by_pack: BTreeMap<u64, Vec<Target>> = BTreeMap::new();
    for (path, FileVersion { pieces, .. }) in files {
        let file = staged.join(relative(path)?);
        let mut at = 0;
        for piece in pieces {
            by_pack.entry(piece.pack).or_default().push(Target { file: file.clone(), at, piece: *piece });
            at += u64::from(piece.len);
        }
    }
    let fill = |(number, targets): (u64, Vec<Target>)| async move {
        let pack = catalog.packs.get(&number).ok_or_else(|| gone(number))?;
        let _room = tenancy.remote.room_for_pack().await;
        let body = body(tenancy, pack).await?;
        blocking(tenancy.host(), move || write(number, &body, &targets)).await
    };
    stream::iter(by_pack).map(fill).buffer_unordered(PARALLEL).try_collect().await
}

/// The body of a pack, opened and of the length that the state says.
pub async fn body(tenancy: &Tenancy, pack: &Pack) -> Result<Vec<u8>> {
    let number = pack.name.number;
    let object = tenancy.pack(&pack.name).await?.ok_or_else(|| gone(number))?;
    let body = tenancy.with_body(object, |body| body).await?;
    if body.len() != pack.body as usize {
        return Err(Error::new(
            Cause::Damaged,
            format!("pack {number} is not as long as the state says; see the runbook"),
        ));
    }
    Ok(body)
}

fn gone(number: u64) -> Error {
    Error::new(
        Cause::Vanished,
        format!(
            "pack {number} of this profile is missing from the store. Restore the bucket's objects, or ask for another generation"
        ),
    )
}

fn write(number: u64, body: &[u8], targets: &[Target]) -> Result<()> {
    let mut open: Option<(&Path, File)> = None;
    for Target { file, at, piece } in targets {
        let begin = piece.offset as usize;
        let bytes = body.get(begin..begin + usize::from(piece.len)).filter(|bytes| hash(bytes) == piece.hash);
        let bytes = bytes.ok_or_else(|| {
            Error::new(
                Cause::Damaged,
                format!("a piece of pack {number} is not what the state says; see the runbook"),
            )
        })?;
        let mut put = || {
            let same = open.as_ref().is_some_and(|(path, _)| path == file);
            if !same {
                open = Some((file, OpenOptions::new().write(true).open(file)?));
            }
            let Some((_, open)) = open.as_mut() else { return Ok(()) };
            open.seek(SeekFrom::Start(*at))?;
            open.write_all(bytes)
        };
        put().map_err(unwritten)?;
    }
    Ok(())
}

fn finish(staged: &Path, to: &Path, files: &[PathBuf]) -> io::Result<()> {
    let mut folders = BTreeSet::from([staged.to_owned()]);
    for path in files {
        let path = staged.join(path);
        File::open(&path)?.sync_all()?;
        folders.extend(path.ancestors().skip(1).take_while(|folder| *folder != staged).map(Path::to_owned));
    }
    #[cfg(unix)]
    for folder in &folders {
        File::open(folder)?.sync_all()?;
    }
    fs::rename(staged, to)?;
    sync_folder(to)
}

fn unwritten(error: io::Error) -> Error {
    Error::new(
        Code::LocalUnavailable,
        format!("the profile could not be restored to the disk ({error}); nothing of the session changed"),
    )
    .with_source(error)
}
