//! The machine: time, randomness, tasks and threads. The only door to non-determinism.
//!
//! Everything above asks a [`Host`], so that a whole cluster of owners runs in one seeded simulation. Safety rests on
//! none of it (I18): clocks decide how long to wait, never who owns.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door to time, chance and threads"
)]

mod pool;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use pool::ThreadPool;

/// A boxed future that may move between threads.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that blocks a thread: files, compression.
pub type Job = Box<dyn FnOnce() + Send>;

/// The purpose of a job that blocks. Each has threads of its own: what hangs or piles up in one holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Syncs of logs, which a `set` may wait for.
    Sync,
    /// All other work on logs: recovery, rewriting, removal.
    Log,
    /// Compression and encryption.
    Compute,
    /// Looking names of hosts up.
    Names,
}

/// The machine, real or simulated.
pub trait Host: Send + Sync {
    /// Time since an arbitrary start, which goes on while the machine is suspended.
    fn now(&self) -> Duration;
    /// Milliseconds since 1970, for people only.
    fn wall_ms(&self) -> u64;
    /// Fills `bytes` with randomness fit for keys and names.
    fn random(&self, bytes: &mut [u8]);
    /// Runs `task` in the background.
    fn spawn(&self, task: Task);
    /// Runs `job` where blocking is allowed, on the threads for its purpose.
    fn offload(&self, lane: Lane, job: Job);
}

/// Waits. Tokio's clock is real in production and steered in the simulation.
pub async fn sleep(time: Duration) {
    #[cfg(test)]
    if super::sync::stepped::is_explored() {
        return super::sync::stepped::pass(time).await;
    }
    tokio::time::sleep(time).await;
}

/// Runs blocking `work` on a log away from the event loop and the runtime's workers, and gives its answer.
pub async fn blocking<T: Send + 'static>(
    host: &Arc<dyn Host>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    blocking_in(host, Lane::Log, work).await
}

/// The same for another purpose.
pub async fn blocking_in<T: Send + 'static>(
    host: &Arc<dyn Host>,
    lane: Lane,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (answer, wait) = tokio::sync::oneshot::channel();
    host.offload(
        lane,
        Box::new(move || {
            // The asker may have gone away; its work is then done for nobody.
            let _ = answer.send(work());
        }),
    );
    match wait.await {
        Ok(value) => value,
        // Only a panic in `work` drops the sender: let it go on where it is caught and reported.
        Err(_) => panic!("background work panicked"),
    }
}

/// `N` random bytes.
pub fn random<const N: usize>(host: &dyn Host) -> [u8; N] {
    let mut bytes = [0; N];
    host.random(&mut bytes);
    bytes
}

/// The real machine, running on a tokio runtime.
pub struct RealHost {
    runtime: tokio::runtime::Handle,
    sync: ThreadPool,
    log: ThreadPool,
    compute: ThreadPool,
    names: ThreadPool,
}

/// Threads that sync logs, at the most: a thousand sessions that sync at once wait for the disk, not for a thousand threads.
const SYNCING: usize = 64;
/// Threads for whatever else is done to logs.
const LOGGING: usize = 32;
/// Threads that look names up: as many names can be dead before another one waits.
const NAMING: usize = 16;

impl RealHost {
    /// A host whose tasks run on `runtime`.
    pub fn new(runtime: tokio::runtime::Handle) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        RealHost {
            runtime,
            sync: ThreadPool::new("bha-sync", SYNCING),
            log: ThreadPool::new("bha-log", LOGGING),
            compute: ThreadPool::new("bha-compute", cores.clamp(2, 8)),
            names: ThreadPool::new("bha-names", NAMING),
        }
    }
}

impl Host for RealHost {
    fn now(&self) -> Duration {
        // `Instant` stops while a laptop or a frozen VM sleeps; a lease must not.
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            #[cfg(target_os = "linux")]
            let clock = rustix::time::ClockId::Boottime;
            // There it is this one that goes on.
            #[cfg(target_vendor = "apple")]
            let clock = rustix::time::ClockId::Monotonic;
            let time = rustix::time::clock_gettime(clock);
            Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        }
        #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
        {
            use std::sync::OnceLock;
            use std::time::Instant;
            static START: OnceLock<Instant> = OnceLock::new();
            START.get_or_init(Instant::now).elapsed()
        }
    }

    fn wall_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }

    fn spawn(&self, task: Task) {
        self.runtime.spawn(task);
    }

    fn offload(&self, lane: Lane, job: Job) {
        let pool = match lane {
            Lane::Sync => &self.sync,
            Lane::Log => &self.log,
            Lane::Compute => &self.compute,
            Lane::Names => &self.names,
        };
        pool.run(job);
    }
}
