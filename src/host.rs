//! What the machine gives: time, randomness, tasks and threads. The only door to non-determinism.
//!
//! Everything above asks a [`Host`], so that a whole cluster of owners runs in one seeded simulation. Safety rests on
//! none of it (I18): clocks decide how long to wait, never who owns.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door to time, chance and threads"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A boxed future that may move between threads.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that blocks a thread: files, compression.
pub type Job = Box<dyn FnOnce() + Send>;

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
    /// Runs `job` where blocking is allowed.
    fn offload(&self, job: Job);
}

/// Waits. Tokio's clock is real in production and steered in the simulation.
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Runs blocking `work` away from the event loop and the runtime's workers, and gives its answer.
pub async fn blocking<T: Send + 'static>(
    host: &Arc<dyn Host>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (answer, wait) = tokio::sync::oneshot::channel();
    host.offload(Box::new(move || {
        // The asker may have gone away; its work is then done for nobody.
        let _ = answer.send(work());
    }));
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
}

impl RealHost {
    /// A host whose tasks run on `runtime`.
    pub fn new(runtime: tokio::runtime::Handle) -> Self {
        RealHost { runtime }
    }
}

impl Host for RealHost {
    fn now(&self) -> Duration {
        // `Instant` stops while a laptop or a frozen VM sleeps; a lease must not.
        #[cfg(target_os = "linux")]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        }
        #[cfg(not(target_os = "linux"))]
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

    fn offload(&self, job: Job) {
        self.runtime.spawn_blocking(job);
    }
}
