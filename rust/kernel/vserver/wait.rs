// SPDX-License-Identifier: GPL-2.0

//! Wait queues in the two shapes that contexts need: an event that many may wait for, and a queue
//! that a timer releases first come, first served.
//!
//! C headers: [`include/linux/wait.h`](srctree/include/linux/wait.h),
//! [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)

use crate::{
    bindings,
    ffi::c_int,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{Atomic, Relaxed},
        barrier::smp_mb,
        LockClassKey,
    },
    task::{TASK_FREEZABLE, TASK_INTERRUPTIBLE, TASK_NORMAL},
    types::Opaque,
};
use core::marker::PhantomPinned;

/// Nanoseconds of the monotonic clock. Any context.
pub fn now_ns() -> i64 {
    // SAFETY: It is always safe to read the clock.
    unsafe { bindings::ktime_get() }
}

/// A wait queue.
#[pin_data]
pub struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: A wait queue has its own lock and may be used from any thread.
unsafe impl Send for WaitQueue {}
// SAFETY: As above.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// A new, empty queue. Use the macro `new_wait_queue!`.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid while the closure runs, the others are static.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
            _pin: PhantomPinned,
        })
    }

    /// Sleeps until `ready` says so, interruptible and freezable.
    ///
    /// `ready` runs while the task is already queued, so a wake-up after it returned false is not
    /// lost; it must not sleep. It is told whether [`Self::wake`] has woken the task since it was
    /// asked last, which took it out of the queue: it is at the end again. Who is woken otherwise
    /// stays where it was. An `exclusive` waiter stands at the end of the queue and uses up one of
    /// the wake-ups. Process context, no spinlock held.
    ///
    /// Returns false if a signal came first.
    pub fn wait(&self, exclusive: bool, mut ready: impl FnMut(bool) -> bool) -> bool {
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        let flags = if exclusive {
            bindings::WQ_FLAG_EXCLUSIVE as c_int
        } else {
            0
        };
        let state = (TASK_INTERRUPTIBLE | TASK_FREEZABLE) as c_int;

        // SAFETY: `entry` is memory for an entry; this initialises it for `current`.
        unsafe { bindings::init_wait_entry(entry.get(), flags) };
        let mut woken = false;
        let done = loop {
            // SAFETY: Both are initialised, and `entry` leaves the queue below, before it dies.
            let interrupted =
                unsafe { bindings::prepare_to_wait_event(self.head.get(), entry.get(), state) };
            if ready(woken) {
                break true;
            }
            if interrupted != 0 {
                break false;
            }
            // SAFETY: The caller is in process context and holds no spinlock.
            unsafe { bindings::schedule() };
            // SAFETY: `entry` is initialised. A waker that takes it out of the queue lets it point to
            // itself, with this as the last that it writes; nobody but us puts it in.
            woken = unsafe {
                let node = &raw mut (*entry.get()).entry;
                (&raw const (*node).next).read_volatile() == node
            };
        };
        // SAFETY: As for `prepare_to_wait_event`.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        done
    }

    /// Wakes those who wait not exclusively, and the first `exclusive` of the others (all for 0).
    /// Returns how many of the latter it were, where that is limited.
    ///
    /// Any context.
    pub fn wake(&self, exclusive: u16) -> u16 {
        // SAFETY: The queue is initialised.
        let woken = unsafe {
            bindings::__wake_up(
                self.head.get(),
                TASK_NORMAL,
                c_int::from(exclusive),
                core::ptr::null_mut(),
            )
        };
        u16::try_from(woken).unwrap_or(0)
    }
}

/// Makes an initialiser of a [`WaitQueue`] with a lock class of its own.
#[macro_export]
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::vserver::wait::WaitQueue::new(
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}
pub use new_wait_queue;

/// When a task may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At once.
    Now,
    /// Not before this time of the monotonic clock, in nanoseconds.
    At(i64),
    /// Not until somebody calls [`HoldQueue::release`].
    Never,
}

/// Decides who is held and for how long. All methods may be called from any context, hard
/// interrupts included, and must neither sleep nor lock.
pub trait Gate: Send + Sync {
    /// May a task go on at `now` (monotonic clock, nanoseconds)?
    fn turn(&self, now: i64) -> Turn;

    /// How many tasks can be let go at `now` with what there is; at least 1 where
    /// [`Gate::turn`] says [`Turn::Now`].
    fn batch(&self, now: i64) -> u16;
}

/// Tasks that wait at a [`Gate`], and the timer that lets them through in order.
///
/// The timer is started by a task that is about to wait, by [`HoldQueue::release`] and by its own
/// callback, the latter two only while somebody waits: a queue without waiters has no timer.
///
/// # Invariants
///
/// `timer` is set up with `Self::expired` and is embedded in a pinned `HoldQueue`.
#[pin_data(PinnedDrop)]
pub struct HoldQueue<G: Gate> {
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    queue: WaitQueue,
    /// Those who were let go and got nothing, or next to nothing.
    #[pin]
    again: WaitQueue,
    waiting: Atomic<i32>,
    gate: G,
}

// SAFETY: The timer has its own lock, the rest is `Send`.
unsafe impl<G: Gate> Send for HoldQueue<G> {}
// SAFETY: The timer has its own lock, the rest is `Sync`.
unsafe impl<G: Gate> Sync for HoldQueue<G> {}

impl<G: Gate> HoldQueue<G> {
    /// A queue in front of `gate`. Use the macro `new_hold_queue!`.
    pub fn new(
        gate: G,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        // INVARIANT: Set up so here.
        pin_init!(Self {
            // SAFETY: `slot` is memory for a timer, and `expired` fits its signature.
            timer <- Opaque::ffi_init(|slot| unsafe {
                bindings::hrtimer_setup(
                    slot,
                    Some(Self::expired),
                    bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                    bindings::hrtimer_mode_HRTIMER_MODE_ABS,
                )
            }),
            queue <- WaitQueue::new(name, key),
            again <- WaitQueue::new(name, key),
            waiting: Atomic::new(0),
            gate: gate,
        })
    }

    /// The gate.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> i32 {
        self.waiting.load(Relaxed)
    }

    /// Waits for the caller's turn, behind those who came before, or until `ended` says so: it is
    /// asked each time that somebody wakes the caller, and must not sleep. If it is its turn `again`
    /// it stands before all for whom it is not. Process context, no locks held.
    ///
    /// Returns false if that, or a signal, came first.
    pub fn wait(&self, mut again: bool, ended: impl Fn() -> bool) -> bool {
        if self.gate.turn(now_ns()) == Turn::Now {
            return true;
        }
        let mut released = false;
        self.waiting.add(1, Relaxed);
        loop {
            let mut late = false;
            let queue = if again { &self.again } else { &self.queue };
            queue.wait(true, |woken| {
                match self.gate.turn(now_ns()) {
                    Turn::Now => {
                        released = true;
                        return true;
                    }
                    Turn::At(time) => self.start_at(time),
                    Turn::Never => {}
                }
                // Who was let go finds nothing: others were faster.
                late = !again && woken;
                late || ended()
            });
            if released || !late || ended() {
                break;
            }
            again = true;
        }
        self.waiting.add(-1, Relaxed);
        released
    }

    /// Has the gate asked again, because its settings changed: by the timer, which lets the tasks
    /// go in batches. Any context.
    pub fn release(&self) {
        // Either we see who waits or he, queued, sees the new settings.
        smp_mb();
        if self.waiting() > 0 {
            self.start(now_ns());
        }
    }

    /// Starts the timer for a `time` that the gate gave. Its settings may have changed since, and
    /// [`Self::release`] have started it for an earlier one: so it is asked again.
    fn start_at(&self, mut time: i64) {
        loop {
            self.start(time);
            let now = now_ns();
            match self.gate.turn(now) {
                Turn::Now => return self.start(now),
                Turn::At(earlier) if earlier < time => time = earlier,
                Turn::At(_) | Turn::Never => return,
            }
        }
    }

    fn start(&self, time: i64) {
        // SAFETY: By the type invariants the timer is set up. It may be running or queued: it is
        // then moved.
        unsafe {
            bindings::hrtimer_start_range_ns(
                self.timer.get(),
                time,
                0,
                bindings::hrtimer_mode_HRTIMER_MODE_ABS,
            )
        };
    }

    /// Lets `batch` tasks go, at least one.
    fn wake(&self, batch: u16) {
        match batch.saturating_sub(self.again.wake(batch)) {
            0 => {}
            rest => {
                self.queue.wake(rest);
            }
        }
    }

    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // CAST: `Opaque` is transparent.
        let timer = timer.cast::<Opaque<bindings::hrtimer>>();
        // SAFETY: By the type invariants the timer is that of a `HoldQueue`, which lives at
        // least until `drop` has cancelled the timer.
        let this = unsafe { &*crate::container_of!(timer, Self, timer) };
        if this.waiting() > 0 {
            let now = now_ns();
            match this.gate.turn(now) {
                Turn::Now => {
                    this.wake(this.gate.batch(now).max(1));
                    // Look again for those who stay behind, in case that nobody who was let go
                    // uses anything up and comes back.
                    this.start(now.saturating_add(super::TICK_NS));
                }
                Turn::At(time) => this.start_at(time),
                Turn::Never => {}
            }
        }
        bindings::hrtimer_restart_HRTIMER_NORESTART
    }
}

#[pinned_drop]
impl<G: Gate> PinnedDrop for HoldQueue<G> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants the timer is set up. Nobody can start it again: there
        // are no other references, and this waits for the callback.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
    }
}

/// Makes an initialiser of a [`HoldQueue`] with a lock class of its own.
#[macro_export]
macro_rules! new_hold_queue {
    ($gate:expr, $name:literal) => {
        $crate::vserver::wait::HoldQueue::new(
            $gate,
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}
pub use new_hold_queue;
