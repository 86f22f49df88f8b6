package dispatch

import (
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestMutedCustomersAreLeftOutIfTheSettingSaysSo: and are counted for it, once,
// behind every other reason; a phone beside that shows notifications is enough to
// get a message.
func TestMutedCustomersAreLeftOutIfTheSettingSaysSo(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	for _, c := range []struct {
		customer, token string
		notifications   push.Notifications
	}{
		{"muted", "t1", push.NotificationsOff}, {"muted", "t2", push.NotificationsOff}, {"half", "t3", push.NotificationsOff},
		{"half", "t4", push.NotificationsUnknown}, {"on", "t5", push.NotificationsOn}, {"out", "t6", push.NotificationsOff},
	} {
		t.Run(c.customer, func(t *testing.T) {
			if _, err := w.RegisterToken(t.Context(), c.customer, push.Registration{Kind: push.KindToken, Value: c.token, Notifications: c.notifications}); err != nil {
				t.Fatal(err)
			}
		})
	}
	out := true
	if _, err := w.PatchCustomer(t.Context(), "out", push.CustomerPatch{OptedOut: &out}); err != nil {
		t.Fatal(err)
	}
	for muted, want := range map[push.MutedCustomers]push.Excluded{
		push.MutedSend: {OptedOut: 1},
		push.MutedSkip: {OptedOut: 1, Muted: 1},
	} {
		if _, err := w.SaveSettings(t.Context(), push.Settings{Devices: push.AllDevices, Muted: muted}, nil); err != nil {
			t.Fatal(err)
		}
		m := w.mailing(t, "m-"+string(muted), nil)
		w.handleUntilDone(t, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart})
		totals, err := w.ReadTotals(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if got := totals.Customers.Excluded; got != want {
			t.Errorf("%s: excluded %+v, want %+v", muted, got, want)
		}
		if got := totals.Customers.Matched; got != 4 {
			t.Errorf("%s: %d customers matched, want 4", muted, got)
		}
		w.clock.Add(time.Minute)
	}
}
