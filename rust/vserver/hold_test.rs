// SPDX-License-Identifier: GPL-2.0

//! Cases of [`kernel::vserver::wait::HoldQueue`] and what it is made of.

use kernel::prelude::kunit_tests;

#[kunit_tests(vserver_hold)]
mod tests {
    use kernel::{
        prelude::*,
        sync::atomic::{Atomic, Relaxed},
        vserver::wait::{new_hold_queue, new_wait_queue, now_ns, Gate, Turn},
    };

    const SECOND: i64 = 1_000_000_000;

    /// A gate that opens when it was asked so often.
    struct OpensAt {
        asked: Atomic<i64>,
        opens: i64,
        /// Until then this is the time that it gives.
        late: i64,
        /// When somebody first found it open.
        opened: Atomic<i64>,
    }

    impl OpensAt {
        fn new(opens: i64) -> Self {
            Self {
                asked: Atomic::new(0),
                opens,
                late: now_ns().saturating_add(10 * SECOND),
                opened: Atomic::new(0),
            }
        }
    }

    impl Gate for OpensAt {
        fn turn(&self, now: i64) -> Turn {
            if self.asked.fetch_add(1, Relaxed) < self.opens {
                return Turn::At(self.late);
            }
            let _ = self.opened.cmpxchg(0, now, Relaxed);
            Turn::Now
        }

        fn batch(&self, _now: i64) -> u16 {
            1
        }
    }

    /// Whoever comes asks, queues, asks again and starts the timer. If the gate has opened by then
    /// nobody waits for the time that it gave first.
    #[test]
    fn opens_while_the_timer_is_started() -> Result {
        let gate = OpensAt::new(2);
        let late = gate.late;
        let hold = KBox::pin_init(new_hold_queue!(gate, "vserver_hold_test"), GFP_KERNEL)?;
        assert!(hold.wait(false, || false));
        assert!(hold.gate().opened.load(Relaxed) < late);
        assert!(now_ns() < late);
        Ok(())
    }

    /// Who is woken by anything but the queue has lost nothing there.
    #[test]
    fn knows_who_woke_it() -> Result {
        let queue = KBox::pin_init(new_wait_queue!("vserver_wait_test"), GFP_KERNEL)?;
        let (mut asked, mut by_queue) = (0u32, 0u32);
        assert!(queue.wait(true, |woken| {
            by_queue = (by_queue << 1) | u32::from(woken);
            asked += 1;
            match asked {
                1 | 3 => kernel::current!().wake_up(),
                2 => {
                    assert_eq!(queue.wake(1), 1);
                }
                _ => return true,
            }
            false
        }));
        assert_eq!(by_queue, 0b0010);
        Ok(())
    }
}
