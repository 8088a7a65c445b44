//! Seconds since 1970 as a date, in UTC, and its forms in HTTP and in logs. C's library has this.

use std::io::Write;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
pub const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Seconds since 1970 as a date and a time of day.
pub struct Date {
    pub year: i64,
    pub month: usize, // from 0
    pub day: i64,
    pub weekday: usize, // from Sunday
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

impl Date {
    pub fn new(seconds: i64) -> Date {
        let (days, rest) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
        // Years that begin in March end with the leap day, and 400 of them have 146,097 days. 1970
        // is 719,468 days after the first of March of the year 0.
        let from_zero = days + 719_468;
        let (era, day) = (from_zero.div_euclid(146_097), from_zero.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153; // from March: 31, 30, 31, 30, 31 days, and again
        let from_january = (month + 2) % 12;
        Date {
            year: era * 400 + year + i64::from(month >= 10),
            month: usize::try_from(from_january).unwrap_or_default(),
            day: day - (153 * month + 2) / 5 + 1,
            weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or_default(),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

/// Appends a time in HTTP's form: `Mon, 04 Feb 2008 13:09:03 GMT`.
pub fn http_date(seconds: i64, out: &mut Vec<u8>) {
    let Date {
        year,
        month,
        day,
        weekday,
        hour,
        minute,
        second,
    } = Date::new(seconds);
    let (weekday, month) = (DAYS[weekday], MONTHS[month]);
    let _ = write!(
        out,
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    ); // into memory
}

/// Appends a time in the form used in logs: `04/Feb/2008:13:09:03 +0000`.
pub fn log_date(seconds: i64, out: &mut Vec<u8>) {
    let Date {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = Date::new(seconds);
    let month = MONTHS[month];
    let _ = write!(
        out,
        "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000"
    ); // into memory
}
