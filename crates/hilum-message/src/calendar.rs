//! Days and dates of the Gregorian calendar, without a clock.
//!
//! By eras of 400 years that begin in March, so that the leap day is the last of its year.

/// Days of an era.
const ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Days since 1970-01-01 of a year, month (1 to 12) and day (from 1). A month or day that no
/// calendar has gives some day.
#[must_use]
pub const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + 9).rem_euclid(12) + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// Year, month and day of a number of days since 1970-01-01.
#[must_use]
pub const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let era = days.div_euclid(ERA);
    let of_era = days.rem_euclid(ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + (month <= 2) as i64, month, day)
}

/// Days of a month (1 to 12); zero for a month that does not exist.
#[must_use]
pub const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_is_written_as_it_is_read() {
        let mut day = days_of(1600, 1, 1);
        for year in 1600..2400 {
            for month in 1..=12 {
                for of_month in 1..=days_in(year, month) {
                    assert_eq!(days_of(year, month, of_month), day);
                    assert_eq!(date_of(day), (year, month, of_month));
                    day += 1;
                }
            }
        }
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(days_of(2026, 11, 22), 20_779);
        assert_eq!(date_of(days_of(-1, 12, 31)), (-1, 12, 31));
    }
}
