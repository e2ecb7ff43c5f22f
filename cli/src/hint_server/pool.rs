//! Threads for what may take long: analysing codes, following them, asking a node.
//!
//! In: jobs. Out: nothing; a job tells whom it concerns. The threads have a low priority, so that whoever can be answered at
//! once is, whatever strangers have sent, and there are as many of them however much is asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Sender, unbounded};

/// How much less the processor belongs to these threads: an eighth of what others get who want it at the same time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The threads, which end when the pool is dropped and they have nothing left to do.
pub(super) struct Pool {
    jobs: Sender<Job>,
}

impl Pool {
    /// So many threads.
    pub(super) fn new(threads: usize) -> std::io::Result<Self> {
        let (jobs, inbox) = unbounded::<Job>();
        for number in 0..threads {
            let inbox = inbox.clone();
            let work = move || {
                step_back();
                for job in inbox {
                    // Whoever waits for the job is told by its silence.
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("a request has ended in a panic");
                    }
                }
            };
            std::thread::Builder::new().name(format!("slow-{number}")).spawn(work)?;
        }
        Ok(Self { jobs })
    }

    /// Has a thread do something when it comes to it.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The threads live as long as the pool.
        let _ = self.jobs.send(Box::new(job));
    }
}

/// Lowers the priority of the calling thread.
#[cfg(target_os = "linux")]
fn step_back() {
    // On Linux a priority is a thread's own, and none stands for the thread that asks.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the priority of slow work cannot be lowered");
    }
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
fn step_back() {}
