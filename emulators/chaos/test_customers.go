package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/progress"
	"carillon.example/emulators/transfer"
	"carillon.example/shared/push"
)

// initialOutcomes are FCM's answers for the tokens that are invalid from the start.
var initialOutcomes = []fcm.Outcome{{Token: "*-gone", Outcome: "UNREGISTERED"}}

// testCustomers are the model: the imported customers, with the tokens that they must
// have after all answered requests. The tokens of a third of them change in the whole
// run. The others do not change, so that it is known exactly what they must get.
type testCustomers struct {
	client    *client.Client
	fcmServer *fcm.Server
	all       []*testCustomer

	faultSet
	mu         sync.Mutex // guards the fields below
	changes    map[string]int
	lastNumber int // number of the next new token
	errorTexts []string
	erasures   map[string]erasure // by customer
}

// A testCustomer is changed by one goroutine only, and read after the last change.
type testCustomer struct {
	id            string
	stable        bool
	segments      []string
	erasable      bool // is erased during the faults, unless they end before
	migrating     bool // the app is updated or moves to FIDs during the faults
	optedOut      bool
	noPromo       bool
	tokens        []*testToken // in the order in which they were added
	damaged       bool         // the document does not decode for a while
	savedTokens   any          // its tokens while it is damaged
	importVersion int64        // the version of the last change of availability before the faults
}

// A testToken is a push token of a customer.
type testToken struct {
	token          string
	unregistered   bool      // FCM answers UNREGISTERED
	unregisteredAt time.Time // zero: from the start
	isFID          bool      // a Firebase installation id, not a registration token
}

// countValid returns the number of valid tokens.
func (p *testCustomer) countValid() int {
	n := 0
	for _, x := range p.tokens {
		if !x.unregistered {
			n++
		}
	}
	return n
}

func newTestCustomers(c *client.Client, phones *fcm.Server, n int, seed uint64, f faultSet) *testCustomers {
	m := &testCustomers{client: c, fcmServer: phones, faultSet: f, changes: map[string]int{}}
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		p := &testCustomer{id: fmt.Sprintf("customer-%06d", i), stable: i%3 != 0, segments: segmentsOf(i), erasable: i%erasableEvery == 0}
		special := p.stable && i%20 == 1 // excluded customers have no invalid tokens, so that exclusions can be counted exactly
		p.optedOut, p.noPromo = special && i%40 == 1, special && i%40 != 1
		for j := 0; j == 0 || j < 4 && r.Float64() < 0.3; j++ {
			gone := !special && r.Float64() < 0.05
			x := &testToken{token: m.newToken(r, gone), unregistered: gone}
			if f.hasFIDs() && !gone && r.Float64() < fidShare {
				x = &testToken{token: m.newFID(), isFID: true}
			}
			p.tokens = append(p.tokens, x)
		}
		if f.hasFIDs() && i%6 == 4 && !special { // never a customer whose tokens change at random
			p.stable, p.migrating = false, true
		}
		m.all = append(m.all, p)
	}
	if f[faultUndecodable] {
		for i := range undecodableCustomers {
			m.all[stableIndex(i)].damaged = true
		}
	}

	return m
}

// stableIndex is the index of the i-th customer in a selection of customers whose
// tokens do not change, who are in no segment except possibly half, and who are not
// excluded.
func stableIndex(i int) int { return 32 + 60*i }

// segmentsOf spreads customers over three segments.
func segmentsOf(i int) (out []string) {
	for name, every := range map[string]int{"half": 2, "tenth": 10, "seventh": 7} {
		if i%every == 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// newToken returns a new registration token. The name of an invalid one ends in
// -gone, which initialOutcomes matches.
func (m *testCustomers) newToken(r *rand.Rand, gone bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastNumber++
	end := "ok"
	if gone {
		end = "gone"
	}
	if m.hasFIDs() {
		return fmt.Sprintf("%s:%016x%016x-%s", formatFID(m.lastNumber), r.Uint64(), r.Uint64(), end)
	}
	return fmt.Sprintf("chaos%07d:%016x%016x-%s", m.lastNumber, r.Uint64(), r.Uint64(), end)
}

// firstAddedAt is when the first imported token of each customer was added. Each
// further token is one hour newer.
var firstAddedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// importAll imports all customers, before the faults begin.
func (m *testCustomers) importAll(ctx context.Context) error {
	type token struct {
		Token    string    `json:"token,omitempty"`
		FID      string    `json:"fid,omitempty"`
		Platform string    `json:"platform"`
		AddedAt  time.Time `json:"addedAt"`
	}
	type line struct {
		ID         string          `json:"id"`
		Tokens     []token         `json:"tokens"`
		Segments   []string        `json:"segments"`
		OptedOut   bool            `json:"optedOut,omitempty"`
		Categories map[string]bool `json:"categories,omitempty"`
	}
	r, w := io.Pipe()
	go func() {
		enc := json.NewEncoder(w)
		var err error
		for _, p := range m.all {
			l := line{ID: p.id, Segments: p.segments, OptedOut: p.optedOut}
			if p.noPromo {
				l.Categories = map[string]bool{"promo": false}
			}
			for j, x := range p.tokens {
				t, fid := x.requestFields()
				l.Tokens = append(l.Tokens, token{t, fid, "android", firstAddedAt.Add(time.Duration(j) * time.Hour)})
			}
			if err = enc.Encode(l); err != nil {
				break
			}
		}
		w.CloseWithError(err)
	}()

	im := &transfer.Importer{Client: m.client, Kind: transfer.ImportKinds["ndjson"], Out: io.Discard, Bar: progress.NewBar(io.Discard, "import")}
	if err := im.Stream(ctx, r); err != nil {
		return err
	}
	if im.Failed > 0 || im.Imported != len(m.all) {
		return fmt.Errorf("of %d customers %d were imported and %d refused", len(m.all), im.Imported, im.Failed)
	}

	return nil
}

// changeGroups is the number of goroutines that change tokens. Each has customers of
// its own.
const changeGroups = 4

// startTokenChanges changes tokens until calm ends. A change that has begun is
// finished, however long it takes: the expected state is known only then.
func (m *testCustomers) startTokenChanges(ctx, calm context.Context, all *sync.WaitGroup, seed uint64) {
	for g := range changeGroups {
		var mine []*testCustomer
		for i, p := range m.all {
			if !p.stable && i%(3*changeGroups) == 3*g {
				mine = append(mine, p)
			}
		}
		if len(mine) < 2 {
			continue
		}

		r := rand.New(rand.NewPCG(seed, uint64(100+g)))
		all.Go(func() {
			for sleep(calm, time.Duration(20+r.IntN(180))*time.Millisecond) {
				var err error
				if r.Float64() < erasureShare {
					mine, err = m.eraseCustomer(ctx, r, mine)
				} else {
					err = m.changeToken(ctx, r, mine)
				}
				if err != nil {
					m.addError(err)
				}
			}
		})
	}
}

// addError keeps an error of a change, which the report shows.
func (m *testCustomers) addError(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errorTexts = append(m.errorTexts, err.Error())
}

// countChange counts a change, by what it was.
func (m *testCustomers) countChange(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes[what]++
}

// changeToken makes one random change to one token of one customer.
func (m *testCustomers) changeToken(ctx context.Context, r *rand.Rand, mine []*testCustomer) error {
	p := mine[r.IntN(len(mine))]
	var x *testToken
	if len(p.tokens) > 0 {
		x = p.tokens[r.IntN(len(p.tokens))]
	}

	switch what := r.IntN(10); {
	case x == nil || what < 2 && len(p.tokens) < 6:
		m.countChange("new")
		return m.registerToken(ctx, p, &testToken{token: m.newToken(r, false)}, nil)
	case what < 5:
		to := mine[r.IntN(len(mine))]
		if len(to.tokens) >= push.MaxTokens-1 {
			return nil // above MaxTokens the API removes the oldest token
		}
		m.countChange("moved")
		return m.registerToken(ctx, to, x, p)
	case what < 7: // the app is installed again: FCM accepts the token again, then the app registers it
		if err := m.fcmServer.SetOutcomes(fcm.Outcome{Token: x.token, Outcome: fcm.OK}); err != nil {
			return err
		}
		x.unregistered = false
		m.countChange("registered again")
		return m.registerToken(ctx, p, x, p)
	case what < 8: // an app server registers a token again, valid or not
		m.countChange("repeated")
		return m.registerToken(ctx, p, x, p)
	case what < 9:
		m.countChange("deleted")
		return m.removeToken(ctx, p, x)
	}

	m.countChange("became invalid")
	x.unregistered, x.unregisteredAt = true, time.Now()
	return m.fcmServer.SetOutcomes(fcm.Outcome{Token: x.token, Outcome: "UNREGISTERED"})
}

// invalidOutcomes are FCM's answers for all invalid tokens. No rule matches a valid
// token.
func (m *testCustomers) invalidOutcomes() (out []fcm.Outcome) {
	for _, p := range m.all {
		for _, x := range p.tokens {
			if x.unregistered {
				out = append(out, fcm.Outcome{Token: x.token, Outcome: "UNREGISTERED"})
			}
		}
	}
	return out
}

// registerToken registers a token for one customer, and removes it from another in
// the model.
func (m *testCustomers) registerToken(ctx context.Context, to *testCustomer, x *testToken, from *testCustomer) error {
	path := "/v1/customers/" + to.id + "/tokens"
	body := map[string]string{"token": x.token, "platform": "android"}
	if x.isFID {
		body = map[string]string{"fid": x.token, "platform": "android"}
	}
	if err := m.callUntilAnswered(ctx, http.MethodPost, path, body, nil); err != nil {
		return err
	}
	if from != nil {
		from.dropToken(x)
	}

	to.dropToken(x)
	to.tokens = append(to.tokens, x)
	return nil
}

// dropToken removes a token from the model.
func (p *testCustomer) dropToken(x *testToken) {
	p.tokens = slices.DeleteFunc(p.tokens, func(y *testToken) bool { return y == x })
}

// removeToken deletes a token through the API.
func (m *testCustomers) removeToken(ctx context.Context, p *testCustomer, x *testToken) error {
	err := m.callUntilAnswered(ctx, http.MethodDelete, "/v1/customers/"+p.id+"/tokens/"+push.TokenID(x.token), nil, nil)
	if q := client.AsProblem(err); q != nil && q.Status == http.StatusNotFound {
		err = nil // an earlier try succeeded, and its answer was lost
	}
	if err == nil {
		p.dropToken(x)
	}
	return err
}

// callUntilAnswered repeats a request until the answer is neither 429 nor 5xx.
func (m *testCustomers) callUntilAnswered(ctx context.Context, method, path string, body, answer any) error {
	return callUntilAnswered(ctx, m.client, method, path, body, answer)
}

// callUntilAnswered repeats a request until the answer is neither 429 nor 5xx.
func callUntilAnswered(ctx context.Context, c *client.Client, method, path string, body, answer any) error {
	for {
		err := c.Call(ctx, method, path, body, answer)
		if p := client.AsProblem(err); err == nil || p != nil && p.Status < 500 && p.Status != http.StatusTooManyRequests {
			return err
		}
		if !sleep(ctx, 250*time.Millisecond) {
			return err
		}
	}
}
