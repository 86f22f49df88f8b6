package fcm

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

func TestAWitnessTellsTakenFromLost(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	seen := make(chan Sighting, 8)
	s.SetWitness(func(x Sighting) { seen <- x })
	for _, c := range []struct {
		outcome                    string
		delivered, lost, validated bool
	}{
		{OK, true, false, false},
		{SLOW, true, false, false},
		{RESET, false, false, false},
		{ResetDelivered, true, true, false},
		{UnavailableDelivered, true, true, false},
		{"UNAVAILABLE", false, false, false},
		{"UNREGISTERED", false, false, false},
		{HANG, false, false, false},
		{HangDelivered, true, true, false},
	} {
		if err := s.SetOutcomes(Outcome{Token: token, Outcome: c.outcome, Latency: 1}); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(within(t))
		before := s.Stats().Outcomes[c.outcome]
		done := make(chan error, 1)
		go func() { done <- try(ctx, s.Client(), s) }()
		if err := s.Wait(ctx, func(st Stats) bool { return st.Outcomes[c.outcome] > before }); err != nil {
			t.Fatal(err)
		}
		if c.outcome == HANG || c.outcome == HangDelivered {
			leave()
		}
		silent := slices.Contains([]string{HANG, HangDelivered, RESET, ResetDelivered}, c.outcome)
		if err := <-done; (err != nil) != silent {
			t.Errorf("%s: the sender got %v", c.outcome, err)
		}
		leave()
		x := <-seen
		if x.Outcome != c.outcome || x.Delivered != c.delivered || x.Lost != c.lost || x.Validated != c.validated || x.Token != token || x.At.IsZero() {
			t.Errorf("%s was seen as %+v", c.outcome, x)
		}
	}
	if got := len(s.Messages(Filter{})); got != 5 {
		t.Errorf("%d messages were kept, want the 5 delivered", got)
	}
}

func TestAWitnessSeesWhoseMessageItWas(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	seen := make(chan Sighting, 2)
	s.SetWitness(func(x Sighting) { seen <- x })
	post(t, s, fmt.Sprintf(`{"validate_only":true,"message":{"token":%q,"data":{"mailing_id":"m","customer_id":"c"}}}`, token))
	if x := <-seen; x.Mailing != "m" || x.Customer != "c" || !x.Validated || x.Delivered {
		t.Errorf("seen as %+v", x)
	}
	s.SetWitness(nil)
	post(t, s, toToken(token))
	select {
	case x := <-seen:
		t.Errorf("nobody was to be told of %+v", x)
	default:
	}
}
