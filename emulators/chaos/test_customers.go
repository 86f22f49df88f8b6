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

// deadTokens is what FCM says of tokens that are dead from the beginning.
var initialOutcomes = []fcm.Outcome{{Token: "*-gone", Outcome: "UNREGISTERED"}}

// people is the model: who was imported, and what became of their devices by
// requests that were answered. A third of them move tokens about all the while,
// the others stay as they are, so that what they must get is known exactly.
type testCustomers struct {
	client    *client.Client
	fcmServer *fcm.Server
	all       []*testCustomer

	faultSet
	mu         sync.Mutex
	changes    map[string]int
	lastNumber int // number of the next new token
	errorTexts []string
}

// A person is changed by one goroutine only, and read after the last change.
type testCustomer struct {
	id            string
	stable        bool
	segments      []string
	migrating     bool // the app is updated, or goes over to FIDs, while it storms
	optedOut      bool
	noPromo       bool
	tokens        []*testToken // in the order in which they were added
	damaged       bool         // the document does not decode for a while
	savedDevices  any          // its devices meanwhile
	importVersion int64        // the version of the last change of availability before the faults
}

// A phone is a token.
type testToken struct {
	token          string
	unregistered   bool      // dead at FCM
	unregisteredAt time.Time // when that was, zero: from the beginning
	isFID          bool      // an installation id, not a registration token
}

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
		p := &testCustomer{id: fmt.Sprintf("customer-%06d", i), stable: i%3 != 0, segments: segmentsOf(i)}
		special := p.stable && i%20 == 1 // their exclusion is counted exactly: no invalid tokens
		p.optedOut, p.noPromo = special && i%40 == 1, special && i%40 != 1
		for j := 0; j == 0 || j < 4 && r.Float64() < 0.3; j++ {
			gone := !special && r.Float64() < 0.05
			x := &testToken{token: m.newToken(r, gone), unregistered: gone}
			if f.hasFIDs() && !gone && r.Float64() < fidShare {
				x = &testToken{token: m.newFID(), isFID: true}
			}
			p.tokens = append(p.tokens, x)
		}
		if f.hasFIDs() && i%6 == 4 && !special { // none of those that move tokens about
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

// stableAt is the place of the i-th customer of some who stay as they are, are in
// no segment but perhaps half, and are not excluded.
func stableIndex(i int) int { return 32 + 60*i }

// segmentsOf spreads people over three segments.
func segmentsOf(i int) (out []string) {
	for name, every := range map[string]int{"half": 2, "tenth": 10, "seventh": 7} {
		if i%every == 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

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

// firstAdded is when the first imported token was added; each further one of a
// customer is an hour younger.
var firstAddedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// imports hands everybody in, before the faults begin.
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

// groups is how many goroutines move tokens about, each among its own people.
const changeGroups = 4

// churn moves tokens about until calm ends. A change that has begun is brought
// to its end, however long that takes: only then it is known what must be.
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
				if err := m.changeToken(ctx, r, mine); err != nil {
					m.addError(err)
				}
			}
		})
	}
}

func (m *testCustomers) addError(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errorTexts = append(m.errorTexts, err.Error())
}

func (m *testCustomers) countChange(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes[what]++
}

// change does one thing to one person's tokens.
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
			return nil // one more too many would push another out
		}
		m.countChange("moved")
		return m.registerToken(ctx, to, x, p)
	case what < 7: // the app is installed again: FCM knows the token, then we are told
		if err := m.fcmServer.SetOutcomes(fcm.Outcome{Token: x.token, Outcome: fcm.OK}); err != nil {
			return err
		}
		x.unregistered = false
		m.countChange("registered again")
		return m.registerToken(ctx, p, x, p)
	case what < 8: // an app server repeats what it knows, dead or not
		m.countChange("repeated")
		return m.registerToken(ctx, p, x, p)
	case what < 9:
		m.countChange("deleted")
		return m.removeToken(ctx, p, x)
	}

	m.countChange("died")
	x.unregistered, x.unregisteredAt = true, time.Now()
	return m.fcmServer.SetOutcomes(fcm.Outcome{Token: x.token, Outcome: "UNREGISTERED"})
}

// dead are FCM's rules for all tokens that are dead; there is none that a
// token alive could fall under.
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

// register gives a token to a person, and takes it from another.
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

func (p *testCustomer) dropToken(x *testToken) {
	p.tokens = slices.DeleteFunc(p.tokens, func(y *testToken) bool { return y == x })
}

func (m *testCustomers) removeToken(ctx context.Context, p *testCustomer, x *testToken) error {
	err := m.callUntilAnswered(ctx, http.MethodDelete, "/v1/customers/"+p.id+"/tokens/"+push.TokenID(x.token), nil, nil)
	if q := client.AsProblem(err); q != nil && q.Status == http.StatusNotFound {
		err = nil // the first try did it, and its answer was lost
	}
	if err == nil {
		p.dropToken(x)
	}
	return err
}

// insist asks until there is an answer that is one.
func (m *testCustomers) callUntilAnswered(ctx context.Context, method, path string, body, answer any) error {
	return callUntilAnswered(ctx, m.client, method, path, body, answer)
}

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
