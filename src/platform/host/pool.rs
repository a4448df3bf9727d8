//! Threads for work that blocks: so many and no more, for one purpose.
//!
//! Work of one purpose waits only for work of the same one: whatever hangs takes the threads of its own pool. Threads are
//! started when there is work for them, and end when there was none for a while.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Job;

/// Time that a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

struct PoolState {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
    work: Condvar,
}

/// Threads for one purpose.
pub struct ThreadPool(Arc<PoolState>);

impl ThreadPool {
    /// At most `most` threads, which the system shows as `name`.
    pub fn new(name: &'static str, most: usize) -> ThreadPool {
        ThreadPool(Arc::new(PoolState {
            name,
            most: most.max(1),
            queue: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Runs `job` on a thread of this pool, in the order of asking.
    pub fn run(&self, job: Job) {
        let shared = &self.0;
        let mut queue = shared.queue();
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() {
            shared.work.notify_one();
            return;
        }
        if queue.threads == shared.most {
            return;
        }
        let worker = Arc::clone(shared);
        let thread = std::thread::Builder::new().name(shared.name.to_owned());
        match thread.spawn(move || worker.serve()) {
            Ok(_) => queue.threads += 1,
            // The system gives no more threads: those that are there come to it. Without any it is done here.
            Err(_) if queue.threads > 0 => {}
            Err(_) => {
                let job = queue.jobs.pop_back();
                drop(queue);
                job.into_iter().for_each(|job| job());
            }
        }
    }

    /// The same, with the answer; `None` if it panicked.
    pub async fn ask<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, wait) = tokio::sync::oneshot::channel();
        self.run(Box::new(move || {
            // The asker may have gone away; its work is then done for nobody.
            let _ = answer.send(work());
        }));
        wait.await.ok()
    }
}

impl PoolState {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // Whoever waits for it hears of a panic: its answer never comes.
                let _ = catch_unwind(AssertUnwindSafe(job));
                queue = self.queue();
                continue;
            }
            queue.idle += 1;
            let (woken, waited) = self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_pool_runs_so_much_at_once_and_no_more_and_all_of_it_in_the_end() {
        let pool = ThreadPool::new("test", 3);
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (done, finished) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        for n in 0..50 {
            let (at_once, most, done) = (Arc::clone(&at_once), Arc::clone(&most), done.clone());
            let gate = Arc::clone(&gate);
            pool.run(Box::new(move || {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
                at_once.fetch_sub(1, Ordering::SeqCst);
                done.send(n).unwrap();
            }));
        }
        while at_once.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        drop(closed);
        let mut all: Vec<i32> = (0..50).map(|_| finished.recv().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_panic_ends_one_job_and_no_thread() {
        let pool = ThreadPool::new("test", 1);
        assert_eq!(pool.ask(|| -> i32 { panic!("as planned") }).await, None);
        assert_eq!(pool.ask(|| 7).await, Some(7));
    }
}
