//! Flushes that begin while a usual turn writes.

use super::*;

fn echo_in_a_usual_turn(stream: &Stream, poll: &mut impl FnMut() -> Poll<()>) {
    let before = USUAL_TURNS.get().1;
    let message = frame(&(0x82, 20, 0));
    stream.0.lock().unwrap().input.push_back(Ok(message));
    assert!(poll().is_pending());
    assert_eq!(USUAL_TURNS.get().1, before + 1);
}

#[test]
fn a_flush_that_begins_while_a_usual_turn_writes_waits_for_that_write() {
    with_paused_clock(async {
        USUAL_TURNS.set((true, 0));
        let stream = Stream::default();
        let mut sender = None;
        let task = managed(stream.clone(), start(Config::new()), |socket| {
            sender = Some(socket.sender());
            echo(socket)
        });
        let sender = sender.expect("the handler was called");
        let mut task = std::pin::pin!(task);
        // (A clone of `Waker::noop()` may be another waker than that.)
        let waker = Waker::from(Arc::<Wakes>::default());
        let mut poll = || task.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        echo_in_a_usual_turn(&stream, &mut poll);
        // The handle of another task begins to flush when the cork has been taken.
        let flush = Arc::new(Mutex::new(Box::pin(async move { sender.flush().await })));
        let wakes = Arc::new(Wakes::default());
        let (flushing, waker) = (flush.clone(), Waker::from(wakes.clone()));
        let poll_flush = move || {
            let mut flush = flushing.lock().unwrap();
            flush.as_mut().poll(&mut Context::from_waker(&waker))
        };
        let mut flush_once = Some(poll_flush.clone());
        let mut world = stream.0.lock().unwrap();
        world.on_write = Some(Box::new(move || {
            if let Some(poll_flush) = flush_once.take() {
                assert!(poll_flush().is_pending());
            }
        }));
        world.input.push_back(Ok(frame(&(0x82, 20, 0))));
        drop(world);
        assert!(poll().is_pending());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(matches!(poll_flush(), Poll::Ready(Ok(()))));
    });
}

/// What another task queues meanwhile goes into the next batch.
#[test]
fn a_flush_of_a_message_that_is_queued_while_a_usual_turn_writes_waits_for_that_message() {
    with_paused_clock(async {
        USUAL_TURNS.set((true, 0));
        let stream = Stream::default();
        let mut sender = None;
        let task = managed(stream.clone(), start(Config::new()), |socket| {
            sender = Some(socket.sender());
            echo(socket)
        });
        let sender = sender.expect("the handler was called");
        let mut task = std::pin::pin!(task);
        // (A clone of `Waker::noop()` may be another waker than that.)
        let waker = Waker::from(Arc::<Wakes>::default());
        let mut poll = || task.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        echo_in_a_usual_turn(&stream, &mut poll);
        let flusher = sender.clone();
        let flush = Arc::new(Mutex::new(Box::pin(async move { flusher.flush().await })));
        let flushing = flush.clone();
        let poll_flush = move || {
            let mut flush = flushing.lock().unwrap();
            flush.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        let mut flush_once = Some(poll_flush.clone());
        let mut world = stream.0.lock().unwrap();
        world.on_write = Some(Box::new(move || {
            if let Some(poll_flush) = flush_once.take() {
                assert!(sender.try_send("behind the answer").is_ok());
                assert!(poll_flush().is_pending());
            }
        }));
        // The answer, and nothing else.
        world.takes = Some(22);
        world.input.push_back(Ok(frame(&(0x82, 20, 0))));
        drop(world);
        assert!(poll().is_pending());
        assert_eq!(stream.0.lock().unwrap().takes, Some(0));
        assert!(poll_flush().is_pending(), "the message is not written");
        stream.0.lock().unwrap().takes = None;
        assert!(poll().is_pending());
        assert!(matches!(poll_flush(), Poll::Ready(Ok(()))));
    });
}
