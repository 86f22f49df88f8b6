package store_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A deed is one thing done to customers.
type deed struct {
	What     string
	Customer string
	Token    string
	Created  time.Duration // how long before the deed the flag's batch was created
}

var deeds = []string{"register", "register", "register", "flag", "flag", "unflag", "unregister", "erase", "import", "patch", "expire", "late flag"}

// kind is that of a deed's token: phone is the FID of an installation.
func (d deed) kind() push.Kind {
	if d.Token == "phone" {
		return push.KindFID
	}
	return push.KindToken
}

func drawDeed(t *rapid.T) deed {
	return deed{
		What:     rapid.SampledFrom(deeds).Draw(t, "what"),
		Customer: rapid.SampledFrom([]string{"anna", "a/../b"}).Draw(t, "customer"),
		Token:    rapid.SampledFrom([]string{"t1", "t2", "phone", "phone:x", "phone:y"}).Draw(t, "token"),
		Created:  time.Duration(rapid.IntRange(0, 20).Draw(t, "created")) * time.Second,
	}
}

// A crowd does deeds and remembers their events.
type crowd struct {
	*harness
	mu        sync.Mutex
	published []push.Event
}

func newCrowd(t testing.TB) *crowd {
	c := &crowd{harness: newHarness(t)}
	c.Store = store.New(c.DB(), store.Options{Now: c.tick, MaxTokens: 2})
	return c
}

// tick is a second later each time: every deed has a time of its own.
func (c *crowd) tick() time.Time { return c.clock.Add(time.Second) }

func (c *crowd) do(t testing.TB, d deed) error {
	ctx, id := t.Context(), push.TokenID(d.Token)
	var events []push.Event
	var err error
	switch d.What {
	case "register":
		var r store.RegistrationResult
		r, err = c.RegisterToken(ctx, d.Customer, push.Registration{Kind: d.kind(), Value: d.Token, Platform: push.Android})
		events = r.Events
	case "flag", "late flag":
		at := c.tick()
		created := at.Add(-d.Created)
		if d.What == "late flag" {
			created = at.Add(-24 * time.Hour * 365)
		}
		var r store.FlagResult
		r, err = c.FlagToken(ctx, store.Flag{Mailing: created.Format(time.RFC3339), Customer: d.Customer, TokenID: id, Code: push.CodeUnregistered, Status: "NOT_FOUND", At: at, BatchCreatedAt: created})
		events = r.Events
		if d.What == "late flag" && r.Set {
			return errors.New("a flag a year late was set")
		}
	case "unflag":
		events, err = c.unflagAll(t, d)
	case "unregister":
		events, err = c.UnregisterToken(ctx, d.Customer, id)
		if push.IsNotFound(err) {
			err = nil
		}
	case "erase":
		events, err = c.EraseCustomer(ctx, d.Customer)
	case "patch":
		_, err = c.PatchCustomer(ctx, d.Customer, push.CustomerPatch{OptedOut: new(bool)})
	case "expire":
		c.clock.Add(push.TokenLife / 3)
		var out store.ExpiryResult
		out, err = c.ExpireTokens(ctx, store.ExpiryCursor{}, 100)
		events = out.Events
	case "import":
		line := store.ImportLine{Customer: d.Customer, Tokens: []push.Registration{{Kind: d.kind(), Value: d.Token, Platform: push.Android, AddedAt: c.clock.Now().Add(-d.Created)}}}
		_, events, err = c.ImportCustomers(ctx, []store.ImportLine{line})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.published = append(c.published, events...)
	if u := (*push.Unavailable)(nil); errors.As(err, &u) {
		return nil // too many at once: nothing was promised
	}
	if err != nil {
		return fmt.Errorf("%+v: %w", d, err)
	}
	return nil
}

// unflagAll takes back the flag that a customer's token has, by a mailing that
// found nothing else.
func (c *crowd) unflagAll(t testing.TB, d deed) ([]push.Event, error) {
	have, err := c.ReadCustomer(t.Context(), d.Customer)
	if push.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x, ok := have.FindToken(push.TokenID(d.Token))
	if !ok || x.Valid() {
		return nil, nil
	}
	_, events, err := c.UnflagToken(t.Context(), x.Invalid.Mailing, push.InvalidToken{Customer: d.Customer, TokenID: x.ID})
	return events, err
}

// wrong says what does not hold of all that is stored.
func (c *crowd) wrong(t testing.TB) error {
	docs := c.dump(t)
	owners := map[string]string{}
	for path, doc := range docs {
		if path[:6] == "tokens" {
			owners[path[7:]] = doc["customer"].(string)
		}
	}
	seen := map[string]string{}
	for path, doc := range docs {
		if path[:9] != "customers" {
			continue
		}
		if err := c.wrongCustomer(t, path, doc, owners, seen); err != nil {
			return err
		}
	}
	phone := push.TokenID("phone")
	for _, name := range []string{"phone:x", "phone:y"} {
		if seen[phone] != "" && seen[push.TokenID(name)] != "" {
			return fmt.Errorf("one phone is two targets: %q has the FID, and %q has %s", seen[phone], seen[push.TokenID(name)], name)
		}
	}
	for id, owner := range owners {
		if seen[id] != owner {
			return fmt.Errorf("the index says that %q has token %s, and %q has", owner, id, seen[id])
		}
	}
	return nil
}

func (c *crowd) wrongCustomer(t testing.TB, path string, doc map[string]any, owners, seen map[string]string) error {
	id := doc["id"].(string)
	if path != "customers/"+push.CustomerKey(id) {
		return fmt.Errorf("customer %q is stored as %s", id, path)
	}
	valid, first := false, ""
	for token, d := range doc["tokens"].(map[string]any) {
		dev := d.(map[string]any)
		if other, twice := seen[token]; twice {
			return fmt.Errorf("token %s has two owners, %q and %q", token, id, other)
		}
		if seen[token] = id; owners[token] != id {
			return fmt.Errorf("%q has token %s, and the index says %q", id, token, owners[token])
		}
		inv, flagged := dev["invalid"].(map[string]any)
		expires, _ := dev["expires"].(string)
		if !flagged {
			if valid = true; first == "" || expires < first {
				first = expires
			}
			continue
		}
		if inv["code"] == push.CodeExpired {
			continue
		}
		created, err := time.Parse(time.RFC3339, inv["mailing"].(string))
		if err != nil {
			return err
		}
		if dev["seenAt"].(time.Time).After(created) || dev["addedAt"].(time.Time).After(created) {
			return fmt.Errorf("token %s, seen %v, was flagged by a batch created %v", token, dev["seenAt"], created)
		}
	}
	if n := len(doc["tokens"].(map[string]any)); n > 2 {
		return fmt.Errorf("%q has %d tokens", id, n)
	}
	if doc["reachable"] != valid {
		return fmt.Errorf("%q is stored reachable %v, and is %v", id, doc["reachable"], valid)
	}
	state, silentOn := doc["status"].(map[string]any)["state"], doc["silentOn"]
	if (state == "reachable") != (silentOn != nil) {
		return fmt.Errorf("%q is %v and looked at for silence on %v", id, state, silentOn)
	}
	if got, _ := doc["expires"].(string); got != first {
		return fmt.Errorf("%q is swept on %q, and the first token expires on %q", id, got, first)
	}
	return nil
}

// misled returns the customers whose availability a listener has wrong that drops
// events which come twice or late. An import makes no events of customers that it
// creates.
func (c *crowd) misled(t testing.TB) error {
	type news struct {
		available bool
		state     push.AvailabilityState
		version   int64
	}
	last := map[string]news{}
	ids := map[string]string{}
	for _, e := range c.published {
		if e.Type != push.AvailabilityChanged {
			continue
		}
		b, _ := json.Marshal(e.Data)
		var d push.AvailabilityData
		if err := json.Unmarshal(b, &d); err != nil {
			return err
		}
		if was, twice := ids[e.ID]; twice && was != string(b) {
			return fmt.Errorf("event %s says %s and %s", e.ID, was, b)
		}
		ids[e.ID] = string(b)
		if d.Version >= last[d.Customer].version {
			last[d.Customer] = news{d.PushAvailable, d.Availability.State, d.Version}
		}
	}
	for id, n := range last {
		have, err := c.ReadCustomer(t.Context(), id)
		if err != nil && !push.IsNotFound(err) {
			return err
		}
		if is := err == nil && have.HasValidToken(); is != n.available && (have == nil || have.Availability <= n.version) {
			return fmt.Errorf("%q can be reached: %v; the last event says %v", id, is, n.available)
		}
		if err == nil && have.Availability <= n.version && cmp.Or(have.Reported.State, push.StateUnreachable) != n.state {
			return fmt.Errorf("%q is stored as %s; the last event says %s", id, have.Reported.State, n.state)
		}
	}
	return nil
}

// live does rounds of deeds, those of a round at the same time, and returns what is not
// true after one of them: a token has at most one owner, the index and the customers
// agree, a customer is reachable if it has a valid token, no flag is older than a
// registration of its token, and the events say the truth.
func (c *crowd) live(t testing.TB, rounds [][]deed) error {
	for i, round := range rounds {
		errs := make([]error, len(round))
		var all sync.WaitGroup
		for j, d := range round {
			all.Go(func() { errs[j] = c.do(t, d) })
		}
		all.Wait()
		if err := errors.Join(append(errs, c.wrong(t), c.misled(t))...); err != nil {
			return fmt.Errorf("after round %d of %+v: %w", i, rounds, err)
		}
	}
	return nil
}

func TestCustomersHoldWhateverIsDone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rounds := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawDeed), 1, 1), 20, 30).Draw(r, "rounds")
		if err := newCrowd(t).live(t, rounds); err != nil {
			r.Fatal(err)
		}
	})
}

// TestCustomersHoldWhateverIsDoneAtOnce runs many lives in parallel, because a
// transaction that conflicts with another one waits before it is tried again.
func TestCustomersHoldWhateverIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	lives := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawDeed), 2, 5), 3, 6)
	var all sync.WaitGroup
	for seed := range 40 {
		c := newCrowd(t)
		all.Go(func() {
			if err := c.live(t, lives.Example(seed)); err != nil {
				t.Errorf("life %d: %v", seed, err)
			}
		})
	}
	all.Wait()
}
