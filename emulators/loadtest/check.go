package loadtest

import (
	"fmt"
	"io"
	"net/http"
	"reflect"

	"carillon.example/emulators/client"
	"carillon.example/emulators/local"
	"carillon.example/shared/push"
)

// checkMailing compares the mailing's totals with the import and with FCM's counts. invalid
// is the number of invalid tokens.
func checkMailing(end *client.Mailing, m *Result, invalid int64) error {
	t := end.Tokens
	switch {
	case end.Customers.Matched != int64(m.Customers):
		return fmt.Errorf("%d customers were imported, but %d matched", m.Customers, end.Customers.Matched)
	case t.Targeted != m.Tokens:
		return fmt.Errorf("%d tokens were imported, but %d targeted", m.Tokens, t.Targeted)
	case t.Invalid[push.CodeUnregistered] != invalid:
		return fmt.Errorf("%d tokens are invalid, but %d have this result", invalid, t.Invalid[push.CodeUnregistered])
	case t.Accepted != m.Tokens-invalid:
		return fmt.Errorf("%d tokens are valid, but %d were accepted", m.Tokens-invalid, t.Accepted)
	case m.FCM.Duplicates != 0:
		return fmt.Errorf("FCM got %d messages twice", m.FCM.Duplicates)
	}
	if err := checkPlatforms(end); err != nil {
		return err
	}

	return checkCost(m, invalid)
}

// checkPlatforms compares the sums of each platform with those of the mailing. Only tokens of
// Android are imported.
func checkPlatforms(end *client.Mailing) error {
	for _, name := range push.PlatformNames() {
		want := push.NewTokenTotals(0, push.Tally{})
		if name == string(push.Android) {
			want = end.Tokens
		}
		if got := end.Platforms[name]; !reflect.DeepEqual(got, want) {
			return fmt.Errorf("the platform %s has the sums %+v, want %+v", name, got, want)
		}
	}
	return nil
}

// checkCost checks that a large mailing needs no more operations than expected: one read
// a customer and 2.5 % more (batches, cursors, the reads of tick and dispatch), one write
// for fifty tokens, and one read and one write for each roster. Each invalid token adds two reads (to see whether it has a
// flag, and in the transaction that flags it) and one write.
func checkCost(m *Result, invalid int64) error {
	if m.Firestore == nil || m.Tokens < large || m.Beside != nil { // the operations of small mailings beside it are in the same counts
		return nil
	}
	reads, writes := m.Firestore.Reads-2*invalid, m.Firestore.Writes-invalid
	switch {
	case reads > int64(m.Customers)*1025/1000+rosters:
		return fmt.Errorf("%d customers needed %d reads, not counting flags", m.Customers, reads)
	case writes > m.Tokens/50+rosters:
		return fmt.Errorf("%d tokens needed %d writes, not counting flags", m.Tokens, writes)
	}
	return nil
}

// rosters is the number of rosters; each is one document here.
const rosters = 1024

// large is the number of tokens from which checkCost checks a mailing.
const large = 100_000

// List prices in dollars: of one operation of Firestore in the multi-region in the
// United States, and of one byte of Pub/Sub.
const (
	usdRead, usdWrite, usdDelete = 0.06 / 1e5, 0.18 / 1e5, 0.02 / 1e5
	usdPubSubByte                = 40.0 / (1 << 40)
)

// costInDollars returns the price of the mailing's operations in Firestore and Pub/Sub.
// Google bills a byte when it is published and again when it is delivered. FCM is free.
// The time of Cloud Run is not included.
func (m *Result) costInDollars() float64 {
	return float64(m.Firestore.Reads)*usdRead + float64(m.Firestore.Writes)*usdWrite + float64(m.Firestore.Deletes)*usdDelete +
		2*float64(m.PubSub.Bytes)*usdPubSubByte
}

// recordQuota stores how many sends FCM's quota let through, from the first send to the
// last.
func (m *Result) recordQuota(l *local.Cloud) {
	s := l.Phones.Stats()
	m.FCM.Answers429, m.FCM.OverQuota = int64(s.Statuses[http.StatusTooManyRequests]), int64(s.OverQuota)
	if spent := s.LastAt.Sub(s.FirstAt).Minutes(); spent > 0 && l.Quota > 0 {
		m.QuotaShare = float64(s.Requests-s.OverQuota) / (spent * float64(l.Quota))
	}
}

// printQuota prints the figures of recordQuota.
func (m *Result) printQuota(out io.Writer) {
	fmt.Fprintf(out, "%.1f %% of the quota used, %d answers of 429 (%d of them because of the quota), %.0f tokens a second\n",
		100*m.QuotaShare, m.FCM.Answers429, m.FCM.OverQuota, m.TokensPerSecond)
}
