package loadtest

import (
	"context"
	"fmt"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/local"
	"carillon.example/shared/push"
)

// maxStopDelay is the longest time from the answer to a cancel to the last call of FCM.
const maxStopDelay = 5 * time.Second

// cancelMidway cancels a mailing when a share of its tokens has a result. It then
// watches FCM for twice maxStopDelay, and returns an error if the calls stop too late.
func (p plan) cancelMidway(ctx context.Context, l *local.Cloud, c *client.Client, id string, m *Result, show func(*client.Mailing)) error {
	_, err := c.WaitUntil(ctx, id, func(x *client.Mailing) bool {
		show(x)
		done := x.Tokens.Targeted - x.Tokens.Pending
		return x.IsFinal() || float64(done) >= p.cancel*float64(m.Tokens)
	})
	if err != nil {
		return err
	}
	if err := c.Call(ctx, "POST", "/v1/mailings/"+id+"/cancel", nil, nil); err != nil {
		return err
	}

	cancelled, last, seen := time.Now(), time.Now(), l.Phones.Stats().Requests
	for time.Since(cancelled) < 2*maxStopDelay {
		time.Sleep(20 * time.Millisecond)
		if n := l.Phones.Stats().Requests; n != seen {
			seen, last = n, time.Now()
		}
	}

	m.StoppedSeconds = last.Sub(cancelled).Seconds()
	if last.Sub(cancelled) > maxStopDelay {
		return fmt.Errorf("FCM was still called %.1f s after the mailing was cancelled", m.StoppedSeconds)
	}
	return nil
}

// checkCancelled compares the totals of a cancelled mailing with FCM's answers.
func checkCancelled(end *client.Mailing, s fcm.Stats) error {
	t := end.Tokens
	switch {
	case end.State != string(push.Cancelled) || end.CompletedAt == nil:
		return fmt.Errorf("the mailing was cancelled, but its state is %s", end.State)
	case t.Accepted != int64(s.Accepted):
		return fmt.Errorf("FCM accepted %d messages, but %d tokens have the result accepted", s.Accepted, t.Accepted)
	case !isInvalidCount(t.Invalid[push.CodeUnregistered], int64(s.Outcomes[push.CodeUnregistered])):
		return fmt.Errorf("FCM answered UNREGISTERED %d times, but %d tokens have this result", s.Outcomes[push.CodeUnregistered], t.Invalid[push.CodeUnregistered])
	case t.Cancelled == 0 || t.Targeted != t.Accepted+t.Invalid[push.CodeUnregistered]+t.Cancelled:
		return fmt.Errorf("%d tokens targeted, but the results are %d accepted, %v invalid, %d cancelled", t.Targeted, t.Accepted, t.Invalid, t.Cancelled)
	case s.Duplicates != 0:
		return fmt.Errorf("FCM got %d messages twice", s.Duplicates)
	}

	return nil
}

// isInvalidCount reports whether FCM's number of answers for invalid tokens is possible.
// FCM answers once for each token, and once more for tokens whose flag had to be
// confirmed.
func isInvalidCount(invalid, called int64) bool { return called >= invalid && called <= 2*invalid }
