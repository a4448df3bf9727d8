//! Handles held by an environment: a worker thread that ends without closing gives its opens back.
//!
//! Without this its sessions would stay open, and their directories locked, until the process ends.
#![expect(clippy::disallowed_methods, reason = "the engine's own runtime, as for every promise")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::threadsafe_function::ThreadsafeFunction;
use napi::{Env, Status};

use super::engine;
use super::news::News;
use crate::registry::Handle;

/// Time that a session of a thread that is gone may take to reach the store.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time that a listener may take over an event before a close waits no longer.
const HEARING: Duration = Duration::from_secs(10);

/// The function of an environment that hears what a session tells.
pub type Sink = Arc<ThreadsafeFunction<Option<News>, (), Option<News>, Status, false, true>>;

#[derive(Default)]
struct Book {
    handles: HashMap<Handle, Sink>,
    /// The environment has ended: what is opened now is for nobody.
    ended: bool,
}

/// The handles of one environment.
#[derive(Clone, Default)]
pub struct EnvHandles(Arc<Mutex<Book>>);

impl EnvHandles {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment has opened `handle`, and hears of it through `sink`.
    pub async fn add(&self, handle: Handle, sink: Sink) {
        let ended = {
            let mut book = self.book();
            book.handles.insert(handle, sink);
            book.ended
        };
        if ended {
            give_back(handle).await;
        }
    }

    /// The environment gives `handle` back itself. Gives who hears of it.
    pub fn remove(&self, handle: Handle) -> Option<Sink> {
        self.book().handles.remove(&handle)
    }

    fn end(&self) {
        let handles = {
            let mut book = self.book();
            book.ended = true;
            std::mem::take(&mut book.handles)
        };
        for handle in handles.into_keys() {
            engine().runtime.spawn(give_back(handle));
        }
    }
}

/// Resolves when the listener was told all that was told before. What is told comes on a way of its own, and could otherwise be
/// overtaken by the answer to a call.
pub async fn hear_out(sink: Option<Sink>) {
    if let Some(sink) = sink {
        let _ = tokio::time::timeout(HEARING, sink.call_async_catch(None)).await;
    }
}

async fn give_back(handle: Handle) {
    // Its listener went with its thread, so that nobody is left to tell; a log has what could not be stored, and the next open says it.
    let _ = engine().registry.close(engine().registry.take(handle), TIMEOUT).await;
}

thread_local! {
    // An environment lives on one thread, and a thread has one environment at a time.
    static HELD: RefCell<Option<EnvHandles>> = const { RefCell::new(None) };
}

/// The book of this environment, kept from its first open to its end.
pub fn by(env: &Env) -> napi::Result<EnvHandles> {
    HELD.with(|held| {
        if let Some(held) = held.borrow().as_ref() {
            return Ok(held.clone());
        }
        let new = held.borrow_mut().insert(EnvHandles::default()).clone();
        env.add_env_cleanup_hook(new.clone(), |ended: EnvHandles| {
            HELD.with(|held| held.borrow_mut().take());
            // This may be the exit of the process, in the middle of a snapshot: no browser stands still for ever.
            crate::profile::quiet::continue_all();
            ended.end();
        })?;
        Ok(new)
    })
}
