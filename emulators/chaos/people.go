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
var deadTokens = []fcm.Outcome{{Token: "*-gone", Outcome: "UNREGISTERED"}}

// people is the model: who was imported, and what became of their devices by
// requests that were answered. A third of them move tokens about all the while,
// the others stay as they are, so that what they must get is known exactly.
type people struct {
	client *client.Client
	phones *fcm.Server
	all    []*person

	forecast
	mu    sync.Mutex
	made  map[string]int
	fresh int // number of the next new token
	wrong []string
}

// A person is changed by one goroutine only, and read after the last change.
type person struct {
	id       string
	stable   bool
	segments []string
	moving   bool // the app is updated, or goes over to FIDs, while it storms
	optedOut bool
	noPromo  bool
	phones   []*phone // in the order in which they were added
	damaged  bool     // the document does not decode for a while
	saved    any      // its devices meanwhile
	before   int64    // the version of the last change of availability before the faults
}

// A phone is a token.
type phone struct {
	token string
	gone  bool      // dead at FCM
	died  time.Time // when that was, zero: from the beginning
	fid   bool      // an installation id, not a registration token
}

func (p *person) good() int {
	n := 0
	for _, x := range p.phones {
		if !x.gone {
			n++
		}
	}
	return n
}

func newPeople(c *client.Client, phones *fcm.Server, n int, seed uint64, f forecast) *people {
	m := &people{client: c, phones: phones, forecast: f, made: map[string]int{}}
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		p := &person{id: fmt.Sprintf("customer-%06d", i), stable: i%3 != 0, segments: segmentsOf(i)}
		special := p.stable && i%20 == 1 // their exclusion is counted exactly: no invalid tokens
		p.optedOut, p.noPromo = special && i%40 == 1, special && i%40 != 1
		for j := 0; j == 0 || j < 4 && r.Float64() < 0.3; j++ {
			gone := !special && r.Float64() < 0.05
			x := &phone{token: m.token(r, gone), gone: gone}
			if f.hasFIDs() && !gone && r.Float64() < fidShare {
				x = &phone{token: m.installation(), fid: true}
			}
			p.phones = append(p.phones, x)
		}
		if f.hasFIDs() && i%6 == 4 && !special { // none of those that move tokens about
			p.stable, p.moving = false, true
		}
		m.all = append(m.all, p)
	}
	if f[weatherUndecodable] {
		for i := range undecodableCustomers {
			m.all[stableAt(i)].damaged = true
		}
	}

	return m
}

// stableAt is the place of the i-th customer of some who stay as they are, are in
// no segment but perhaps half, and are not excluded.
func stableAt(i int) int { return 32 + 60*i }

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

func (m *people) token(r *rand.Rand, gone bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh++
	end := "ok"
	if gone {
		end = "gone"
	}
	if m.hasFIDs() {
		return fmt.Sprintf("%s:%016x%016x-%s", fidOf(m.fresh), r.Uint64(), r.Uint64(), end)
	}
	return fmt.Sprintf("chaos%07d:%016x%016x-%s", m.fresh, r.Uint64(), r.Uint64(), end)
}

// firstAdded is when the first imported token was added; each further one of a
// customer is an hour younger.
var firstAdded = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// imports hands everybody in, before the faults begin.
func (m *people) imports(ctx context.Context) error {
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
			for j, x := range p.phones {
				t, fid := x.address()
				l.Tokens = append(l.Tokens, token{t, fid, "android", firstAdded.Add(time.Duration(j) * time.Hour)})
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
const groups = 4

// churn moves tokens about until calm ends. A change that has begun is brought
// to its end, however long that takes: only then it is known what must be.
func (m *people) churn(ctx, calm context.Context, all *sync.WaitGroup, seed uint64) {
	for g := range groups {
		var mine []*person
		for i, p := range m.all {
			if !p.stable && i%(3*groups) == 3*g {
				mine = append(mine, p)
			}
		}
		if len(mine) < 2 {
			continue
		}
		r := rand.New(rand.NewPCG(seed, uint64(100+g)))
		all.Go(func() {
			for wait(calm, time.Duration(20+r.IntN(180))*time.Millisecond) {
				if err := m.change(ctx, r, mine); err != nil {
					m.complain(err)
				}
			}
		})
	}
}

func (m *people) complain(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = append(m.wrong, err.Error())
}

func (m *people) note(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made[what]++
}

// change does one thing to one person's tokens.
func (m *people) change(ctx context.Context, r *rand.Rand, mine []*person) error {
	p := mine[r.IntN(len(mine))]
	var x *phone
	if len(p.phones) > 0 {
		x = p.phones[r.IntN(len(p.phones))]
	}

	switch what := r.IntN(10); {
	case x == nil || what < 2 && len(p.phones) < 6:
		m.note("new")
		return m.register(ctx, p, &phone{token: m.token(r, false)}, nil)
	case what < 5:
		to := mine[r.IntN(len(mine))]
		if len(to.phones) >= push.MaxTokens-1 {
			return nil // one more too many would push another out
		}
		m.note("moved")
		return m.register(ctx, to, x, p)
	case what < 7: // the app is installed again: FCM knows the token, then we are told
		if err := m.phones.SetOutcomes(fcm.Outcome{Token: x.token, Outcome: fcm.OK}); err != nil {
			return err
		}
		x.gone = false
		m.note("registered again")
		return m.register(ctx, p, x, p)
	case what < 8: // an app server repeats what it knows, dead or not
		m.note("repeated")
		return m.register(ctx, p, x, p)
	case what < 9:
		m.note("deleted")
		return m.remove(ctx, p, x)
	}

	m.note("died")
	x.gone, x.died = true, time.Now()
	return m.phones.SetOutcomes(fcm.Outcome{Token: x.token, Outcome: "UNREGISTERED"})
}

// dead are FCM's rules for all tokens that are dead; there is none that a
// token alive could fall under.
func (m *people) dead() (out []fcm.Outcome) {
	for _, p := range m.all {
		for _, x := range p.phones {
			if x.gone {
				out = append(out, fcm.Outcome{Token: x.token, Outcome: "UNREGISTERED"})
			}
		}
	}
	return out
}

// register gives a token to a person, and takes it from another.
func (m *people) register(ctx context.Context, to *person, x *phone, from *person) error {
	path := "/v1/customers/" + to.id + "/tokens"
	body := map[string]string{"token": x.token, "platform": "android"}
	if x.fid {
		body = map[string]string{"fid": x.token, "platform": "android"}
	}
	if err := m.insist(ctx, http.MethodPost, path, body, nil); err != nil {
		return err
	}
	if from != nil {
		from.drop(x)
	}

	to.drop(x)
	to.phones = append(to.phones, x)
	return nil
}

func (p *person) drop(x *phone) {
	p.phones = slices.DeleteFunc(p.phones, func(y *phone) bool { return y == x })
}

func (m *people) remove(ctx context.Context, p *person, x *phone) error {
	err := m.insist(ctx, http.MethodDelete, "/v1/customers/"+p.id+"/tokens/"+push.TokenID(x.token), nil, nil)
	if q := client.AsProblem(err); q != nil && q.Status == http.StatusNotFound {
		err = nil // the first try did it, and its answer was lost
	}
	if err == nil {
		p.drop(x)
	}
	return err
}

// insist asks until there is an answer that is one.
func (m *people) insist(ctx context.Context, method, path string, body, answer any) error {
	return insist(ctx, m.client, method, path, body, answer)
}

func insist(ctx context.Context, c *client.Client, method, path string, body, answer any) error {
	for {
		err := c.Call(ctx, method, path, body, answer)
		if p := client.AsProblem(err); err == nil || p != nil && p.Status < 500 && p.Status != http.StatusTooManyRequests {
			return err
		}
		if !wait(ctx, 250*time.Millisecond) {
			return err
		}
	}
}
