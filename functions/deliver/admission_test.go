package deliver

import (
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// TestCallsThatDeliverShareAReading: a call that leaves or ends its batch reads the mailing
// itself. Otherwise a batch that is published right after a resume or a cancellation would be left
// for minutes.
func TestCallsThatDeliverShareAReading(t *testing.T) {
	t.Parallel()
	now := testcloud.Noon().Now()
	sending := push.Mailing{State: push.Sending, ExpiresAt: now.Add(time.Hour)}
	inState := func(s push.State) push.Mailing { return push.Mailing{State: s, ExpiresAt: now.Add(time.Hour)} }
	withHours := sending
	withHours.Hours = &push.Window{}
	later := push.Batch{NotBefore: now.Add(time.Minute)}
	for _, test := range []struct {
		name  string
		batch push.Batch
		reads []push.Mailing // what the store answers, in this order
		want  []admission    // of each call
		last  push.State     // of the mailing that the last call gets
	}{
		{"sending", push.Batch{}, []push.Mailing{sending}, []admission{admissionDeliver, admissionDeliver, admissionDeliver}, push.Sending},
		{"resumed", push.Batch{}, []push.Mailing{inState(push.Paused), inState(push.Paused), sending}, []admission{admissionLeave, admissionDeliver, admissionDeliver}, push.Sending},
		{"resumed with held flags", push.Batch{HeldFlags: []int{0}}, []push.Mailing{inState(push.Paused), sending}, []admission{admissionDeliver}, push.Sending},
		{"a batch of later", later, []push.Mailing{sending, sending, sending}, []admission{admissionLeave, admissionLeave}, push.Sending},
		{"a batch of later, cancelled", later, []push.Mailing{sending, inState(push.Cancelled)}, []admission{admissionDeliver}, push.Cancelled},
		{"with hours", push.Batch{}, []push.Mailing{withHours, withHours, withHours}, []admission{admissionDeliver, admissionDeliver}, push.Sending},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reads := newHeaderReads()
			d := newDeliverer(Deps{Store: reads.store(), Now: testcloud.Noon().Now})
			for _, m := range test.reads {
				reads.release <- &m
			}

			var last push.State
			for i, want := range test.want {
				m, got, err := d.admitBatch(t.Context(), &test.batch, false)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("call %d: decided %d, want %d", i, got, want)
				}
				last = m.State
				m.Proven = true // a call that notes this in its mailing changes no other's
			}
			if last != test.last {
				t.Errorf("the last call gets a mailing that is %s, want %s", last, test.last)
			}
			if n := reads.count.Load(); n != int64(len(test.reads)) {
				t.Errorf("read %d times, want %d", n, len(test.reads))
			}
			if m := d.states.freshState(""); m.Proven {
				t.Error("a call has changed the shared mailing")
			}
		})
	}
}

// TestACancelledBatchIsClosedAtOnce although the call before it has seen the mailing sending
// within the same second, and the batch is not due.
func TestACancelledBatchIsClosedAtOnce(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, "a-phone:1")
	if _, err := w.d.states.getState(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	b.NotBefore = w.clock.Now().Add(time.Hour)
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}

	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err != nil {
		t.Fatal(err)
	}
	if b, err = w.ReadBatch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if !b.Settled {
		t.Error("the batch is open after the cancellation, want it closed")
	}
}
