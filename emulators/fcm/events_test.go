package fcm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func next(t *testing.T, events <-chan Event) Event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return e
	case <-within(t).Done():
		t.Fatal("no event")
	}
	return Event{}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	events, cancel := s.Subscribe()
	post(t, s, toToken(token))
	post(t, s, `{"validate_only":true,"message":{"token":"`+token+`"}}`)
	switch e := next(t, events); {
	case e.Kind != EventAccepted:
		t.Errorf("kind %v, want %v", e.Kind, EventAccepted)
	case e.Message.Token != token:
		t.Errorf("token %v, want %v", e.Message.Token, token)
	case e.Message.ValidateOnly:
		t.Errorf("validate only true, want false")
	case e.Message.ID == "":
		t.Errorf("the id is missing")
	}
	switch e := next(t, events); {
	case e.Kind != EventValidated:
		t.Errorf("kind %v, want %v", e.Kind, EventValidated)
	case !e.Message.ValidateOnly:
		t.Errorf("validate only false, want true")
	}
	cancel()
	cancel()
	if _, ok := <-events; ok {
		t.Error("the channel is open after cancel")
	}
	post(t, s, toToken(token)) // no subscriber
}

func TestSlowReadersLearnWhatTheyLost(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	events, cancel := s.Subscribe()
	defer cancel()
	const all = 3*eventQueue + 17
	for range all {
		s.publishEvent(EventChanged, "", nil)
	}
	got, lost := 0, 0
	for got+lost < all {
		if e := next(t, events); e.Kind == EventLost {
			lost += e.Lost
		} else {
			got++
		}
	}
	switch {
	case got+lost != all:
		t.Errorf("%v events with the lost ones, want %v", got+lost, all)
	case lost == 0:
		t.Errorf("no events were lost")
	case got < eventQueue:
		t.Errorf("%v events, want at least %v", got, eventQueue)
	}
}

func TestCloseEndsSubscriptions(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	events, cancel := s.Subscribe()
	defer cancel()
	s.Close()
	for range events { // otherwise the time limit of the test ends it
		t.Error("an event of a closed server")
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	done := make(chan error, 3)
	for i := range 3 {
		go func() { done <- s.Wait(within(t), func(st Stats) bool { return st.Accepted > i && st.Kept > i }) }()
	}
	for range 3 {
		post(t, s, toToken(token))
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx, func(Stats) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for nothing: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Keep: 10})
	for i := range 25 {
		post(t, s, toToken(fmt.Sprintf("kept-token-%02d", i)))
	}
	check := func(first, n int) {
		t.Helper()
		got := s.Messages(Filter{})
		switch {
		case len(got) != n:
			t.Errorf("kept: %v messages, want %v", len(got), n)
		case n == 0:
			return
		case got[0].Token != fmt.Sprintf("kept-token-%02d", first):
			t.Errorf("kept: the first message is to %s, want kept-token-%02d", got[0].Token, first)
		case got[n-1].Token != "kept-token-24":
			t.Errorf("kept: the last message is to %s, want kept-token-24", got[n-1].Token)
		}
	}
	check(15, 10)
	switch st := s.Stats(); {
	case st.Accepted != 25:
		t.Errorf("stats: accepted %v, want 25", st.Accepted)
	case st.Kept != 10:
		t.Errorf("stats: kept %v, want 10", st.Kept)
	}
	if err := s.Configure(Settings{Keep: 4}); err != nil {
		t.Fatal(err)
	}
	check(21, 4)
	if err := s.Configure(Settings{Keep: 6}); err != nil {
		t.Fatal(err)
	}
	check(21, 4)
	s.Clear()
	check(0, 0)
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	send := func(target, mailing string) {
		post(t, s, fmt.Sprintf(`{"message":{%s,"data":{"mailing_id":"%s"}}}`, target, mailing))
	}
	for range 3 {
		send(`"token":"twice-token-1"`, "m1")
	}
	send(`"token":"twice-token-1"`, "m2")
	send(`"token":"twice-token-2"`, "m1")
	send(`"topic":"spring"`, "m1")
	send(`"topic":"spring"`, "m1")
	post(t, s, toToken(token))
	post(t, s, toToken(token)) // without a mailing it is not a duplicate
	switch st := s.Stats(); {
	case st.Duplicates != 2:
		t.Errorf("stats: duplicates %v, want 2", st.Duplicates)
	case !st.DuplicatesExact:
		t.Errorf("stats: duplicates exact false, want true")
	case st.Accepted != 9:
		t.Errorf("stats: accepted %v, want 9", st.Accepted)
	}
	if err := s.Configure(Settings{IgnoreDuplicates: true}); err != nil {
		t.Fatal(err)
	}
	send(`"token":"twice-token-1"`, "m1")
	switch st := s.Stats(); {
	case st.Duplicates != 2:
		t.Errorf("stats: duplicates %v, want 2", st.Duplicates)
	case st.DuplicatesExact:
		t.Errorf("stats: duplicates exact true, want false")
	}
}

func TestDuplicatesAreExactForAMillion(t *testing.T) {
	t.Parallel()
	var c counts
	c.reset()
	const n = 1_000_000
	for i := range n {
		c.noteDuplicate("m", fmt.Sprintf("token-%d", i))
	}
	switch st := c.snapshot(); {
	case st.Duplicates != 0:
		t.Fatalf("duplicates %v, want 0", st.Duplicates)
	case !st.DuplicatesExact:
		t.Fatalf("duplicates exact false, want true")
	}
	for i := 0; i < n; i += 1000 {
		c.noteDuplicate("m", fmt.Sprintf("token-%d", i))
	}
	if st := c.snapshot(); st.Duplicates != 1000 {
		t.Errorf("%d duplicates of a thousand, want 1000", st.Duplicates)
	}
}
