package fcm

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

func TestOnRequestTellsDeliveredFromLost(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	seen := make(chan RequestRecord, 8)
	s.OnRequest(func(x RequestRecord) { seen <- x })
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
		switch {
		case x.Outcome != c.outcome:
			t.Errorf("%s: outcome %v, want %v", c.outcome, x.Outcome, c.outcome)
		case x.Delivered != c.delivered:
			t.Errorf("%s: delivered %v, want %v", c.outcome, x.Delivered, c.delivered)
		case x.Lost != c.lost:
			t.Errorf("%s: lost %v, want %v", c.outcome, x.Lost, c.lost)
		case x.Validated != c.validated:
			t.Errorf("%s: validated %v, want %v", c.outcome, x.Validated, c.validated)
		case x.Token != token:
			t.Errorf("%s: token %v, want %v", c.outcome, x.Token, token)
		case x.At.IsZero():
			t.Errorf("%s: the time is missing", c.outcome)
		}
	}
	if got := len(s.Messages(Filter{})); got != 5 {
		t.Errorf("%d messages were kept, want the 5 delivered", got)
	}
}

func TestOnRequestNamesMailingAndCustomer(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	seen := make(chan RequestRecord, 2)
	s.OnRequest(func(x RequestRecord) { seen <- x })
	post(t, s, fmt.Sprintf(`{"validate_only":true,"message":{"token":%q,"data":{"mailing_id":"m","customer_id":"c"}}}`, token))
	switch x := <-seen; {
	case x.Mailing != "m":
		t.Errorf(`seen: mailing %q, want "m"`, x.Mailing)
	case x.Customer != "c":
		t.Errorf(`seen: customer %q, want "c"`, x.Customer)
	case !x.Validated:
		t.Errorf("seen: validated false, want true")
	case x.Delivered:
		t.Errorf("seen: delivered true, want false")
	}
	s.OnRequest(nil)
	post(t, s, toToken(token))
	select {
	case x := <-seen:
		t.Errorf("OnRequest(nil): got a record %+v, want none", x)
	default:
	}
}
