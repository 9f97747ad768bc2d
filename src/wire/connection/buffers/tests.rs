use super::{Buffers, IDLE_BYTES_MAX, IDLE_MAX, KEPT_FOR, LARGE_BYTES};

fn filled(buffers: &mut Buffers, length: usize) -> bytes::Bytes {
    let mut buffer = buffers.take(length);
    assert!(buffer.is_empty(), "nothing of another frame is left in it");
    while buffer.len() < length {
        if buffer.len() == buffer.capacity() {
            Buffers::grow(&mut buffer, length);
        }
        let more = (buffer.capacity() - buffer.len()).min(length - buffer.len());
        buffer.resize(buffer.len() + more, 7);
    }
    buffers.lend(buffer)
}

#[tokio::test(start_paused = true)]
async fn a_buffer_is_used_again_when_its_last_slice_is_gone() {
    let mut buffers = Buffers::new();
    let frame = filled(&mut buffers, 4 << 20);
    let (address, slice) = (frame.as_ptr(), frame.slice(1_000..2_000));
    drop(frame);
    assert!(!buffers.has_idle(), "a slice is still read");
    assert_eq!(slice, vec![7; 1_000]);
    drop(slice);
    assert!(buffers.has_idle());
    assert_eq!(filled(&mut buffers, 4 << 20).as_ptr(), address);
}

#[tokio::test(start_paused = true)]
async fn little_lies_idle_and_not_for_long() {
    let mut buffers = Buffers::new();
    let frames: Vec<_> = (0..IDLE_MAX + 3).map(|_| filled(&mut buffers, 1 << 20)).collect();
    drop(frames);
    assert_eq!(super::lock(&buffers.idle).len(), IDLE_MAX);
    drop(filled(&mut buffers, LARGE_BYTES - 1));
    assert!(buffers.has_idle());
    tokio::time::advance(KEPT_FOR * 2).await;
    drop(filled(&mut buffers, LARGE_BYTES - 1));
    assert!(!buffers.has_idle());
}

#[tokio::test(start_paused = true)]
async fn too_large_ones_and_those_of_a_lost_connection_are_freed() {
    let mut buffers = Buffers::new();
    drop(filled(&mut buffers, IDLE_BYTES_MAX + 1));
    assert!(!buffers.has_idle());
    let frame = filled(&mut buffers, 1 << 20);
    drop(buffers);
    assert_eq!(frame.len(), 1 << 20);
}

#[test]
fn an_announced_size_costs_nothing() {
    let mut buffer = vec![0; 1_000];
    Buffers::grow(&mut buffer, 64 << 20);
    assert!(buffer.capacity() <= 512 << 10, "{}", buffer.capacity());
}
