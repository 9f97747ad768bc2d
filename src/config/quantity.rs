//! Durations, sizes, rates and times, as people write them.

use std::time::Duration;

use toml::value::{Datetime, Offset};

/// One kind of quantity: its units with their worth, and how to write it.
struct Kind {
    noun: &'static str,
    units: &'static [(&'static str, u64)],
    example: &'static str,
}

const DURATION: Kind = Kind {
    noun: "duration",
    units: &[("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    example: "10s",
};
const SIZE: Kind = Kind {
    noun: "size",
    units: &[
        ("B", 1),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ],
    example: "64 MiB",
};
const RATE: Kind = Kind {
    noun: "rate",
    units: &[
        ("B/s", 1),
        ("kB/s", 1_000),
        ("KB/s", 1_000),
        ("MB/s", 1_000_000),
        ("GB/s", 1_000_000_000),
        ("KiB/s", 1 << 10),
        ("MiB/s", 1 << 20),
        ("GiB/s", 1 << 30),
        ("kbit/s", 125),
        ("Mbit/s", 125_000),
        ("Gbit/s", 125_000_000),
    ],
    example: "50 MB/s",
};

/// What is wrong with a quantity: a sentence, and what to write.
pub(super) type Malformed = (String, Option<String>);

/// `500ms`, `10s`, `1.5h`.
pub(super) fn duration(text: &str) -> Result<Duration, Malformed> {
    parse(text, &DURATION).map(Duration::from_millis)
}

/// `64 MiB`, `64 MB`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, Malformed> {
    parse(text, &SIZE)
}

/// `50 MB/s`, `400 Mbit/s`, in bytes a second.
pub(super) fn rate(text: &str) -> Result<u64, Malformed> {
    parse(text, &RATE)
}

fn parse(text: &str, kind: &Kind) -> Result<u64, Malformed> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at_checked(end).unwrap_or((trimmed, ""));
    let number = number.replace('_', "");
    let unit = unit.trim_start();
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let is_number = !whole.is_empty() && fraction.chars().all(|c| c.is_ascii_digit()) && !number.ends_with('.');
    if !is_number {
        return Err((
            format!("`{text}` is not a {}", kind.noun),
            Some(format!("write for example \"{}\"", kind.example)),
        ));
    }
    let units = || kind.units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    if unit.is_empty() {
        let help = format!("write for example \"{}\"; the units are {}", kind.example, units());
        return Err((format!("`{text}` has no unit"), Some(help)));
    }
    let Some((_, worth)) = kind.units.iter().find(|(known, _)| *known == unit) else {
        return Err((format!("`{unit}` is not a unit of a {}", kind.noun), Some(format!("the units are {}", units()))));
    };
    worth_of(whole, fraction, *worth).ok_or_else(|| (format!("`{text}` is too large"), None))
}

/// `whole.fraction` times `worth`, rounded down. In whole numbers, so that `0.1 MB` is exactly 100,000 bytes.
fn worth_of(whole: &str, fraction: &str, worth: u64) -> Option<u64> {
    let digits = fraction.chars().take(12).filter_map(|c| c.to_digit(10));
    let (parts, scale) = digits.fold((0, 1), |(parts, scale), digit| (parts * 10 + u128::from(digit), scale * 10));
    let fraction = u64::try_from(u128::from(worth) * parts / scale).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(worth)?.checked_add(fraction)
}

/// A duration as people write it.
pub(super) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &["ms", "s", "min", "h", "d"], &DURATION)
}

/// A size as people write it.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &["B", "KiB", "MiB", "GiB", "TiB"], &SIZE)
}

/// A rate as people write it.
pub(super) fn show_rate(bytes: u64) -> String {
    show(bytes, &["B/s", "kB/s", "MB/s", "GB/s"], &RATE)
}

/// With the largest of some units that leaves no fraction.
fn show(amount: u64, units: &[&str], kind: &Kind) -> String {
    let worth = |unit: &str| kind.units.iter().find(|(known, _)| *known == unit).map_or(1, |(_, worth)| *worth);
    let fits = |unit: &&&str| amount >= worth(unit) && amount.is_multiple_of(worth(unit));
    let unit = units.iter().rev().find(fits).or(units.first()).copied().unwrap_or_default();
    format!("{} {unit}", amount / worth(unit))
}

/// A point in time, in milliseconds since 1970.
pub(super) fn timestamp(datetime: &Datetime) -> Result<i64, Malformed> {
    let example = Some("write for example 2026-01-31T00:00:00Z".to_owned());
    let (Some(date), Some(time), Some(offset)) = (datetime.date, datetime.time, datetime.offset) else {
        return Err((format!("`{datetime}` is not a point in time: it needs date, time and zone"), example));
    };
    let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let minutes_east = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minutes = i64::from(time.hour) * 60 + i64::from(time.minute) - minutes_east;
    let seconds = days * 86_400 + minutes * 60 + i64::from(time.second.unwrap_or(0));
    let milliseconds = seconds * 1_000 + i64::from(time.nanosecond.unwrap_or(0)) / 1_000_000;
    if milliseconds < 0 {
        return Err((format!("`{datetime}` lies before 1970"), example));
    }
    Ok(milliseconds)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, counted in years that begin in March, so that the leap
/// day is the last one of its year.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}
