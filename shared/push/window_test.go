package push

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNextPeriodOfAWindow(t *testing.T) {
	t.Parallel()
	workdays := []Weekday{"mon", "tue", "wed", "thu", "fri"}
	tests := []struct {
		name          string
		window        Window
		zone          string
		at            string
		opens, closes string
	}{
		{"before the hours", Window{From: "10:00", To: "21:00"}, "Europe/Riga", "2026-11-27T05:00:00Z", "2026-11-27T08:00:00Z", "2026-11-27T19:00:00Z"},
		{"within the hours", Window{From: "10:00", To: "21:00"}, "Europe/Riga", "2026-11-27T12:00:00Z", "2026-11-27T08:00:00Z", "2026-11-27T19:00:00Z"},
		{"the minute it opens", Window{From: "10:00", To: "21:00"}, "Europe/Riga", "2026-11-27T08:00:00Z", "2026-11-27T08:00:00Z", "2026-11-27T19:00:00Z"},
		{"the minute it closes", Window{From: "10:00", To: "21:00"}, "Europe/Riga", "2026-11-27T19:00:00Z", "2026-11-28T08:00:00Z", "2026-11-28T19:00:00Z"},
		{"the whole day", Window{From: "00:00", To: "24:00"}, "UTC", "2026-11-27T19:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"},
		{"a zone with half an hour", Window{From: "09:00", To: "18:00"}, "Asia/Kolkata", "2026-11-27T00:00:00Z", "2026-11-27T03:30:00Z", "2026-11-27T12:30:00Z"},
		{"a zone with three quarters", Window{From: "09:00", To: "18:00"}, "Asia/Kathmandu", "2026-11-27T00:00:00Z", "2026-11-27T03:15:00Z", "2026-11-27T12:15:00Z"},
		{"a zone that is a day ahead", Window{From: "09:00", To: "18:00"}, "Pacific/Kiritimati", "2026-11-27T12:00:00Z", "2026-11-27T19:00:00Z", "2026-11-28T04:00:00Z"},
		{"across midnight, in the evening", Window{From: "22:00", To: "02:00"}, "UTC", "2026-11-27T23:00:00Z", "2026-11-27T22:00:00Z", "2026-11-28T02:00:00Z"},
		{"across midnight, in the night", Window{From: "22:00", To: "02:00"}, "UTC", "2026-11-28T01:00:00Z", "2026-11-27T22:00:00Z", "2026-11-28T02:00:00Z"},
		{"across midnight, on the day it begins", Window{From: "22:00", To: "02:00", Days: []Weekday{"fri"}}, "UTC", "2026-11-28T01:00:00Z", "2026-11-27T22:00:00Z", "2026-11-28T02:00:00Z"},
		{"across midnight, the night after", Window{From: "22:00", To: "02:00", Days: []Weekday{"fri"}}, "UTC", "2026-11-28T22:30:00Z", "2026-12-04T22:00:00Z", "2026-12-05T02:00:00Z"},
		{"Friday evening waits for Monday", Window{From: "10:00", To: "18:00", Days: workdays}, "UTC", "2026-11-27T19:00:00Z", "2026-11-30T10:00:00Z", "2026-11-30T18:00:00Z"},
		{"once a week, just missed", Window{From: "10:00", To: "11:00", Days: []Weekday{"fri"}}, "UTC", "2026-11-27T11:00:00Z", "2026-12-04T10:00:00Z", "2026-12-04T11:00:00Z"},
		{"the day is that of the zone", Window{From: "08:00", To: "20:00", Days: []Weekday{"sat"}}, "Asia/Tokyo", "2026-11-27T23:30:00Z", "2026-11-27T23:00:00Z", "2026-11-28T11:00:00Z"},

		// Berlin: forward on 29 March 2026 at 01:00Z, from 02:00 to 03:00.
		{"the day clocks go forward", Window{From: "10:00", To: "21:00"}, "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T08:00:00Z", "2026-03-29T19:00:00Z"},
		{"from is left out", Window{From: "02:30", To: "05:00"}, "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},
		{"to is left out", Window{From: "01:00", To: "02:30"}, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"all of it is left out", Window{From: "02:10", To: "02:50"}, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:10:00Z", "2026-03-30T00:50:00Z"},
		// Back on 25 October 2026 at 01:00Z, from 03:00 to 02:00.
		{"from comes twice", Window{From: "02:30", To: "05:00"}, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T04:00:00Z"},
		{"to comes twice", Window{From: "01:00", To: "02:30"}, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"},
		{"both come twice", Window{From: "02:10", To: "02:50"}, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T01:10:00Z", "2026-10-25T01:50:00Z"},
		// Lord Howe Island changes its clocks by half an hour, back on 5 April 2026 at 15:00Z of the 4th.
		{"half an hour comes twice", Window{From: "01:45", To: "03:00"}, "Australia/Lord_Howe", "2026-04-04T10:00:00Z", "2026-04-04T15:15:00Z", "2026-04-04T16:30:00Z"},
		// Cairo changes its clocks at midnight: forward on 24 April 2026, at 22:00Z of the 23rd.
		{"midnight is left out", Window{From: "00:00", To: "08:00"}, "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T05:00:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := test.window.NextPeriod(instant(t, test.at), test.window.ZoneFor(test.zone))
			want := Period{instant(t, test.opens), instant(t, test.closes)}
			if !got.Opens.Equal(want.Opens) {
				t.Errorf("the next period after %s opens at %s, want %s", test.at, got.Opens.UTC(), want.Opens)
			}
			if !got.Closes.Equal(want.Closes) {
				t.Errorf("the next period after %s closes at %s, want %s", test.at, got.Closes.UTC(), want.Closes)
			}
		})
	}
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A period must never be open while the clock shows a time outside of the hours, and must
// be open at some time on each of the days, whatever a zone does to its clocks.
func TestPeriodsAgreeWithTheClock(t *testing.T) {
	t.Parallel()
	windows := []Window{{From: "10:00", To: "21:00"}, {From: "02:30", To: "05:00"}, {From: "01:15", To: "02:45"}, {From: "21:00", To: "03:00"}, {From: "23:30", To: "00:30"}}
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "Pacific/Chatham", "Atlantic/Azores", "Africa/Casablanca"} {
		for _, w := range windows {
			t.Run(zone+" "+w.From, func(t *testing.T) {
				t.Parallel()
				location := w.ZoneFor(zone)
				from, _ := minutesOf(w.From)
				to, _ := minutesOf(w.To)
				begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				periods := w.PeriodsBetween(begin, begin.AddDate(1, 0, 0), location)
				n := len(periods)
				if n < 364 {
					t.Errorf("there are %d periods in a year, want at least 364", n)
				}
				if n > 367 {
					t.Errorf("there are %d periods in a year, want at most 367", n)
				}

				for _, p := range periods {
					for at := p.Opens; at.Before(p.Closes); at = at.Add(5 * time.Minute) {
						local := at.In(location)
						minute := local.Hour()*60 + local.Minute()
						inside := minute >= from && minute < to
						if to <= from {
							inside = minute >= from || minute < to
						}
						if !inside {
							t.Fatalf("it is open at %s", local)
						}
					}
				}
			})
		}
	}
}

func TestZoneOfACustomer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, customers, windows, want string }{
		{"the customer's own", "Asia/Tokyo", "Europe/Riga", "Asia/Tokyo"},
		{"the window's", "", "Europe/Riga", "Europe/Riga"},
		{"a name that is gone", "Mars/Olympus", "Europe/Riga", "Europe/Riga"},
		{"the machine's is none", "Local", "", "UTC"},
		{"none at all", "", "", "UTC"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := Window{From: "10:00", To: "21:00", TimeZone: test.windows}
			if got := w.ZoneFor(test.customers).String(); got != test.want {
				t.Errorf("the zone is %s, want %s", got, test.want)
			}
		})
	}
}

func TestFaultsOfAWindow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		window Window
		want   []string
	}{
		{"none", Window{From: "09:30", To: "24:00", Days: []Weekday{"mon", "sun"}, TimeZone: "Asia/Kolkata"}, nil},
		{"no times", Window{}, []string{"w.from", "w.to"}},
		{"times that no clock shows", Window{From: "24:00", To: "24:01"}, []string{"w.from", "w.to"}},
		{"one digit", Window{From: "9:00", To: "21:60"}, []string{"w.from", "w.to"}},
		{"a sign", Window{From: "+9:00", To: "-1:00"}, []string{"w.from", "w.to"}},
		{"empty", Window{From: "10:00", To: "10:00"}, []string{"w.to"}},
		{"no day", Window{From: "10:00", To: "11:00", Days: []Weekday{}}, []string{"w.days"}},
		{"no such day", Window{From: "10:00", To: "11:00", Days: []Weekday{"mon", "Monday", "mon"}}, []string{"w.days[1]", "w.days[2]"}},
		{"no such zone", Window{From: "10:00", To: "11:00", TimeZone: "Europe/Atlantis"}, []string{"w.timeZone"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var faults Faults
			test.window.Check(&faults, "w")
			var got []string
			for _, f := range faults {
				got = append(got, f.Location)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the places of faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHoursInForce(t *testing.T) {
	t.Parallel()
	own, setting := &Window{From: "10:00", To: "21:00"}, &Window{From: "08:00", To: "20:00"}
	for _, test := range []struct {
		name  string
		draft Draft
		set   Settings
		want  *Window
	}{
		{"none", Draft{}, Settings{}, nil},
		{"its own", Draft{Window: own}, Settings{Window: setting}, own},
		{"the setting's", Draft{}, Settings{Window: setting}, setting},
		{"immediately", Draft{Immediately: true}, Settings{Window: setting}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.draft.HoursIn(test.set); got != test.want {
				t.Errorf("the hours are %v, want %v", got, test.want)
			}
		})
	}
}
