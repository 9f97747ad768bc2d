//! Codecs and the record codec.

use super::super::codec::DecompressError;
use super::super::{crc, varint};
use super::*;

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 * index % 251) as u8).collect()
}

#[test]
fn every_codec_gives_back_what_it_took() {
    for codec in Codec::ALL {
        for length in [0, 1, 100, 32 * 1024, 32 * 1024 + 1, 300_000] {
            let data = sample(length);
            let compressed = codec.compress(&data).unwrap();
            assert_eq!(codec.decompress(&compressed, length).unwrap(), data, "{codec:?} {length}");
            if length > 0 {
                let over = codec.decompress(&compressed, length - 1);
                assert!(matches!(over, Err(DecompressError::Limit)), "{codec:?} {length} {over:?}");
            }
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = codec.compress(&zeros).unwrap();
        assert!(bomb.len() < zeros.len() / 15);
        assert!(matches!(codec.decompress(&bomb, 1 << 20), Err(DecompressError::Limit)), "{codec:?}");
    }
}

#[test]
fn snappy_is_read_raw_and_framed_and_does_not_believe_its_length() {
    let data = sample(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&data).unwrap();
    assert_eq!(Codec::Snappy.decompress(&raw, data.len()).unwrap(), data);
    let framed = Codec::Snappy.compress(&data).unwrap();
    assert!(framed.starts_with(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"));
    let twice = [framed.clone(), framed.clone()].concat();
    assert_eq!(Codec::Snappy.decompress(&twice, 200_000).unwrap(), [data.clone(), data].concat());
    for cut in [10, 17, 19, framed.len() - 1] {
        assert!(matches!(Codec::Snappy.decompress(&framed[..cut], 200_000), Err(DecompressError::Invalid(_))), "{cut}");
    }
    // Five bytes that promise 4 GiB.
    let promise = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    assert!(matches!(Codec::Snappy.decompress(&promise, usize::MAX), Err(DecompressError::Invalid(_))));
}

#[test]
fn a_window_larger_than_any_client_writes_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    std::io::Write::write_all(&mut encoder, &sample(1000)).unwrap();
    let wide = encoder.finish().unwrap();
    assert!(matches!(Codec::Zstd.decompress(&wide, 10_000), Err(DecompressError::Invalid(_))));
    let mut encoder = zstd::Encoder::new(Vec::new(), 22).unwrap();
    std::io::Write::write_all(&mut encoder, &sample(1000)).unwrap();
    assert_eq!(Codec::Zstd.decompress(&encoder.finish().unwrap(), 1000).unwrap(), sample(1000));
}

#[test]
fn varints_are_kafkas() {
    for (number, bytes) in [
        (0_i64, vec![0]),
        (-1, vec![1]),
        (1, vec![2]),
        (63, vec![0x7e]),
        (-64, vec![0x7f]),
        (64, vec![0x80, 1]),
        (300, vec![0xd8, 4]),
        (i64::from(i32::MAX), vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i64::MIN, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        let mut written = Vec::new();
        varint::write_long(&mut written, number);
        assert_eq!(written, bytes);
        assert_eq!(varint::len_long(number), bytes.len());
        assert_eq!(varint::read_long(&bytes), Some((number, [].as_slice())));
        assert_eq!(varint::read_long(&bytes[..bytes.len() - 1]), None);
        assert_eq!(varint::read(&bytes).is_some(), i32::try_from(number).is_ok());
    }
    assert_eq!(varint::read_long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
    assert_eq!(varint::read_long(&[0x80; 11]), None);
}

#[test]
fn records_survive_encoding_in_every_codec() {
    for codec in Codec::ALL {
        let records = odd_records(1000);
        let encoded = batch(&records, codec);
        encoded.verify_crc().unwrap();
        assert_eq!(decode(&encoded, 100_000).unwrap(), records);
        assert_eq!(encoded.header.max_timestamp, 1_700_000_004_000);
    }
}

#[test]
fn decoding_is_bounded() {
    let encoded = batch(&[record(0, 1, &"x".repeat(100_000))], Codec::Zstd);
    let error = decode(&encoded, 50_000).unwrap_err();
    assert_eq!(error, BatchError::DecompressionLimit { base_offset: 0, bytes_max: 50_000 });
}

#[test]
fn counts_and_lengths_that_do_not_fit_are_malformed() {
    let good = batch(&odd_records(0), Codec::None);
    for count in [i32::MAX, 6, 4, -1] {
        let bad = with_header(&good, |header| header.record_count = count);
        assert!(matches!(decode(&bad, 1000), Err(BatchError::Malformed { .. })), "{count}");
    }
    // A record that says it has a billion headers.
    let mut body = vec![0, 0, 0, 1, 1];
    varint::write_long(&mut body, 1_000_000_000);
    let mut whole = Vec::new();
    varint::write_bytes(&mut whole, Some(&body));
    let bad = one(seal(BatchHeader { record_count: 1, last_offset_delta: 0, ..good.header }, &whole).unwrap());
    assert!(matches!(decode(&bad, 1000), Err(BatchError::Malformed { .. })));
}

#[test]
fn the_encoder_refuses_what_is_no_batch() {
    assert!(encode_batch(&[], Codec::None).is_err());
    assert!(encode_batch(&[record(5, 0, ""), record(5, 0, "")], Codec::None).is_err());
    assert!(encode_batch(&[record(5, 0, ""), record(5 + (1 << 31), 0, "")], Codec::None).is_err());
    assert!(encode_batch(&[record(5, 0, ""), record(4 + (1 << 31), 0, "")], Codec::None).is_ok());
}

#[test]
fn an_empty_batch_of_any_codec_is_empty() {
    for codec in Codec::ALL {
        let empty = with_header(&empty_batch(5, 9), |header| header.attributes = codec.id());
        assert_eq!(decode(&empty, 1000).unwrap(), []);
    }
}

#[test]
fn a_change_in_front_of_a_body_is_followed_to_its_end() {
    for length in [0, 1, 2, 61, 1000, 65_536, 1_048_583] {
        let body = sample(length);
        let whole = |front: &[u8]| crc32c::crc32c_append(crc32c::crc32c(front), &body);
        let change = crc32c::crc32c(b"before") ^ crc32c::crc32c(b"after!");
        assert_eq!(whole(b"before") ^ whole(b"after!"), crc::difference_behind(change, length));
    }
    let far = 2_000_000_011;
    assert_eq!(crc::difference_behind(0x1234_5678, far), crc32c::crc32c_combine(0x1234_5678, 0, far));
}
