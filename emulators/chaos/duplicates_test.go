package chaos

import (
	"testing"
	"time"

	"carillon.example/emulators/instances"
)

// TestWhatAKilledCallMaySend: a message that FCM accepts shortly after the kill may be
// from the killed call, if no other call for the batch was in progress since.
func TestWhatAKilledCallMaySend(t *testing.T) {
	t.Parallel()
	zero := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	killed := instances.Call{Began: at(100), Killed: at(200), Ended: at(201)}
	for name, c := range map[string]struct {
		first, second int
		others        []instances.Call
		want          bool
	}{
		"before it began":             {first: 50, second: 900},
		"while it was under way":      {first: 150, second: 900, want: true},
		"sent again before the kill":  {first: 150, second: 180},
		"a moment after the kill":     {first: 217, second: 900, want: true},
		"before the next call began":  {first: 217, second: 900, others: []instances.Call{{Began: at(500), Ended: at(1000)}}, want: true},
		"when the next call was busy": {first: 517, second: 900, others: []instances.Call{{Began: at(500), Ended: at(1000)}}},
		"when the next call had been": {first: 517, second: 900, others: []instances.Call{{Began: at(300), Ended: at(400)}}},
		"beside one that goes on":     {first: 217, second: 900, others: []instances.Call{{Began: at(50)}}},
		"after one that had ended":    {first: 217, second: 900, others: []instances.Call{{Began: at(50), Ended: at(60)}}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := findKilledCall(append(c.others, killed), at(c.first), at(c.second)); got != c.want {
				t.Errorf("%s: %t, want %t", name, got, c.want)
			}
		})
	}
}
