package mailings

import (
	"context"
	"time"

	"carillon.example/shared/push"
)

// durationOf returns how long it takes to send messages: at the rate of the mailing, or
// at the quota of FCM where that is lower. Other mailings at the same time are not
// considered.
func (s *service) durationOf(d *push.Draft, messages int64) time.Duration {
	perMinute := s.QuotaPerMinute
	if r := d.RatePerMinute; r != nil {
		perMinute = min(perMinute, *r)
	}
	return time.Duration(float64(messages) / float64(perMinute) * float64(time.Minute))
}

// secondsLeft estimates how long a mailing still takes, nil if it is not sending. The
// customers that it has not reached yet are assumed to have as many tokens as those before.
// With hours, the last batches may have to wait first.
func (s *service) secondsLeft(ctx context.Context, m *push.Mailing, t push.Totals) (*int64, error) {
	if m.State != push.Sending {
		return nil, nil
	}
	messages := float64(t.Tokens.Pending)
	if ahead := m.Estimated - t.Customers.Matched; ahead > 0 && !m.Dispatched {
		perCustomer := 1.0
		if t.Customers.Matched > 0 {
			perCustomer = float64(t.Tokens.Targeted) / float64(t.Customers.Matched)
		}
		messages += float64(ahead) * perCustomer
	}
	seconds := wholeSeconds(s.durationOf(&m.Draft, int64(messages+0.5)))

	if m.Hours != nil {
		last, err := s.Store.ReadLastWaitingTime(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		seconds += max(0, wholeSeconds(last.Sub(s.Now())))
	}
	return &seconds, nil
}

// wholeSeconds rounds a duration up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// List prices in dollars of a multi-region in the United States, and what a mailing
// uses: docs/performance.md measures it, and terraform/README.md has the same figures.
const (
	usdRead         = 0.06 / 1e5
	usdWrite        = 0.18 / 1e5
	usdCPUSecond    = 0.000024
	batchTokens     = 1000.0
	readsOfABatch   = 3
	writesOfABatch  = 13
	cpuSecondsOfOne = 1300.0 / 1e6 // of a message: dispatch and deliver
)

// usdOf estimates what a mailing costs at most: one read a customer, the batches, and the time
// of the functions. From rosters it is less, by how many customers have changed. FCM is free.
func usdOf(customers, tokens int64) float64 {
	if tokens == 0 {
		return float64(customers) * usdRead
	}
	batches := max(1, float64(tokens)/batchTokens)
	return float64(customers)*usdRead + batches*(readsOfABatch*usdRead+writesOfABatch*usdWrite) + float64(tokens)*cpuSecondsOfOne*usdCPUSecond
}
