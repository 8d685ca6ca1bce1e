//! Hours of the week in which a rule applies.

use hilum_component::Window;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Whether a moment lies in the window. A window that passes midnight belongs to the day on which
/// it begins. An unknown time zone counts as UTC (`hilum check` refuses it).
pub(crate) fn holds(window: &Window, at_ms: u64) -> bool {
    let zone = window
        .zone
        .as_deref()
        .map_or(Ok(TimeZone::UTC), TimeZone::get);
    let millis = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    let local = moment.to_zoned(zone.unwrap_or(TimeZone::UTC));
    let minute =
        u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
    let today = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
    let yesterday = (today + 6) % 7;
    let on = |day: usize| window.days.get(day).copied().unwrap_or(false);
    if window.from_minute <= window.to_minute {
        on(today) && (window.from_minute..window.to_minute).contains(&minute)
    } else {
        (on(today) && minute >= window.from_minute) || (on(yesterday) && minute < window.to_minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[usize], from: u16, to: u16, zone: Option<&str>) -> Window {
        let mut week = [false; 7];
        for &day in days {
            week[day] = true;
        }
        Window {
            days: week,
            from_minute: from * 60,
            to_minute: to * 60,
            zone: zone.map(str::to_owned),
        }
    }

    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn windows_follow_days_hours_and_midnight() {
        let working = window(&[0, 1, 2, 3, 4], 7, 19, None);
        assert!(holds(&working, at("2026-11-20T07:00:00Z")), "Friday");
        assert!(!holds(&working, at("2026-11-20T19:00:00Z")));
        assert!(!holds(&working, at("2026-11-21T12:00:00Z")), "Saturday");
        let night = window(&[4], 22, 6, None);
        assert!(
            holds(&night, at("2026-11-20T23:00:00Z")) && holds(&night, at("2026-11-21T05:59:00Z"))
        );
        assert!(
            !holds(&night, at("2026-11-20T05:00:00Z")),
            "that night began on Thursday"
        );
    }
}
