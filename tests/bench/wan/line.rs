//! A long-distance line for kernels without netem: two TUN devices, and what goes into one comes out of the other a
//! while later. Compiled by the bench command alone (`rustc -O`); needs root.
//!
//! `line NAMESPACE DEVICE ONE_WAY_MS LOSS_PPM MBIT_S QUEUE_BYTES`: one device is made here, the other in the network
//! namespace. `MBIT_S` 0: no limit. Packets are as large as the kernel's segmentation offload makes them, and a lost
//! one is lost whole.

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn open(path: *const c_char, flags: c_int) -> c_int;
    fn setns(namespace: c_int, kind: c_int) -> c_int;
    fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
    fn read(file: c_int, buffer: *mut c_void, count: usize) -> isize;
    fn write(file: c_int, buffer: *const c_void, count: usize) -> isize;
}

const READ_WRITE: c_int = 2;
const NEW_NETWORK: c_int = 0x4000_0000;
const TUN_SET_INTERFACE: c_ulong = 0x4004_54ca;
const TUN_SET_OFFLOAD: c_ulong = 0x4004_54d0;
const TUN_SET_HEADER_SIZE: c_ulong = 0x4004_54d8;
/// Packets of the network layer, without packet information, with the header of segmentation offload.
const FLAGS: i16 = 0x0001 | 0x1000 | 0x4000;
const HEADER_BYTES: c_int = 10;
/// Checksums and TCP segmentation, IPv4 and IPv6.
const OFFLOAD: c_ulong = 0x01 | 0x02 | 0x04;
const PACKET_BYTES_MAX: usize = 70_000;
const HELD_BYTES_MAX: usize = 512 << 20;

/// What the line does to packets.
#[derive(Clone, Copy)]
struct Line {
    delay: Duration,
    loss_ppm: u64,
    bits_per_second: f64,
    queue_bytes: f64,
}

#[derive(Default)]
struct Queue {
    packets: VecDeque<(Instant, usize, Vec<u8>)>,
    bytes: usize,
    /// Buffers that are used again: the line should cost little beside what it is there to measure.
    free: Vec<Vec<u8>>,
}

fn device(namespace: Option<&str>, name: &str) -> c_int {
    // SAFETY: plain system calls; every pointer is to memory that lives through its call.
    unsafe {
        if let Some(namespace) = namespace {
            let path = CString::new(format!("/var/run/netns/{namespace}")).unwrap();
            let file = open(path.as_ptr(), 0);
            assert!(file >= 0 && setns(file, NEW_NETWORK) == 0, "network namespace {namespace}");
        }
        let file = open(c"/dev/net/tun".as_ptr(), READ_WRITE);
        assert!(file >= 0, "/dev/net/tun");
        let mut request = [0_u8; 40];
        request[..name.len()].copy_from_slice(name.as_bytes());
        request[16..18].copy_from_slice(&FLAGS.to_ne_bytes());
        assert_eq!(ioctl(file, TUN_SET_INTERFACE, request.as_mut_ptr()), 0, "device {name}: is this root?");
        ioctl(file, TUN_SET_HEADER_SIZE, &HEADER_BYTES);
        ioctl(file, TUN_SET_OFFLOAD, OFFLOAD);
        file
    }
}

/// Carries packets from one device to the other, for ever.
fn carry(from: c_int, to: c_int, line: Line) {
    let queue = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
    let filled = Arc::clone(&queue);
    thread::spawn(move || {
        let mut buffer = vec![0_u8; PACKET_BYTES_MAX];
        let mut random = 0x9E37_79B9_7F4A_7C15_u64 ^ u64::from(from.unsigned_abs());
        let mut free_at = Instant::now();
        loop {
            // SAFETY: the buffer is as long as is said.
            let count = unsafe { read(from, buffer.as_mut_ptr().cast(), buffer.len()) };
            let Ok(count @ 1..) = usize::try_from(count) else { continue };
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random % 1_000_000 < line.loss_ppm {
                continue;
            }
            let now = Instant::now();
            let mut leaves_at = now;
            if line.bits_per_second > 0.0 {
                free_at = free_at.max(now);
                let waiting = (free_at - now).as_secs_f64() * line.bits_per_second / 8.0;
                if waiting > line.queue_bytes {
                    continue;
                }
                free_at += Duration::from_secs_f64(count as f64 * 8.0 / line.bits_per_second);
                leaves_at = free_at;
            }
            let mut held = filled.0.lock().unwrap();
            if held.bytes + count <= HELD_BYTES_MAX {
                held.bytes += count;
                let next = held.free.pop().unwrap_or_else(|| vec![0; PACKET_BYTES_MAX]);
                let packet = std::mem::replace(&mut buffer, next);
                held.packets.push_back((leaves_at + line.delay, count, packet));
                // Whoever waits has its time already, unless there was nothing to wait for.
                if held.packets.len() == 1 {
                    filled.1.notify_one();
                }
            }
        }
    });
    thread::spawn(move || {
        let mut held = queue.0.lock().unwrap();
        loop {
            let Some(due) = held.packets.front().map(|(due, _, _)| *due) else {
                held = queue.1.wait(held).unwrap();
                continue;
            };
            let now = Instant::now();
            if due > now {
                held = queue.1.wait_timeout(held, due - now).unwrap().0;
                continue;
            }
            let Some((_, count, packet)) = held.packets.pop_front() else { continue };
            held.bytes -= count;
            drop(held);
            // SAFETY: the packet is as long as is said.
            unsafe { write(to, packet.as_ptr().cast(), count) };
            held = queue.0.lock().unwrap();
            held.free.push(packet);
        }
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize| arguments[index].parse::<f64>().expect("a number");
    let (namespace, name) = (arguments[1].clone(), arguments[2].clone());
    let line = Line {
        delay: Duration::from_secs_f64(number(3) / 1000.0),
        loss_ppm: number(4) as u64,
        bits_per_second: number(5) * 1e6,
        queue_bytes: number(6),
    };
    let near = device(None, &name);
    // A thread of its own, because it is that thread that enters the namespace.
    let far = thread::spawn(move || device(Some(&namespace), &name)).join().expect("the far device");
    carry(near, far, line);
    carry(far, near, line);
    println!("ready");
    loop {
        thread::park();
    }
}
