package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"

	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

// A zonesBase has the imported customers, from which the expected sums follow.
type zonesBase struct {
	customers map[string]*zonesCustomer
	zoneOf    map[string]int // by token: the customer's time zone, in hours from UTC
}

// zonesCustomer has a time zone, in whole hours from UTC, and the platform of each of
// its tokens.
type zonesCustomer struct {
	offset int
	tokens []push.Platform
}

// zoneName returns the name of the time zone that is offset hours from UTC. The sign in
// these names is inverted: Etc/GMT-2 is two hours ahead of UTC.
func zoneName(offset int) string { return fmt.Sprintf("Etc/GMT%+d", -offset) }

func zonesToken(customer string, n int) string { return fmt.Sprintf("%s:phone-%d-ok", customer, n) }

// newZonesBase makes random customers in all time zones, each with one or more tokens.
// Of ten tokens about six are for Android, three for iOS and one for the web.
func newZonesBase(p plan) *zonesBase {
	r := rand.New(rand.NewPCG(p.seed, 1))
	b := &zonesBase{customers: map[string]*zonesCustomer{}, zoneOf: map[string]int{}}
	for i := range p.customers {
		c := &zonesCustomer{offset: i%zoneCount - zoneCount/2}
		for len(c.tokens) == 0 || len(c.tokens) < push.MaxTokens && r.Float64() < 1-1/p.tokens {
			platform := push.Android
			switch x := r.IntN(10); {
			case x == 9:
				platform = push.Web
			case x >= 6:
				platform = push.IOS
			}
			c.tokens = append(c.tokens, platform)
		}
		id := fmt.Sprintf("customer-%08d", i)
		b.customers[id] = c
		for n := range c.tokens {
			b.zoneOf[zonesToken(id, n)] = c.offset
		}
	}
	return b
}

// write writes the lines of the import.
func (b *zonesBase) write(w io.Writer) error {
	enc := json.NewEncoder(w)
	for id, c := range b.customers {
		type token struct {
			Token    string        `json:"token"`
			Platform push.Platform `json:"platform"`
		}
		line := struct {
			ID       string  `json:"id"`
			TimeZone string  `json:"timeZone"`
			Tokens   []token `json:"tokens"`
		}{ID: id, TimeZone: zoneName(c.offset)}
		for n, platform := range c.tokens {
			line.Tokens = append(line.Tokens, token{zonesToken(id, n), platform})
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// zonesSums are the expected or the reported sums of the mailing.
type zonesSums struct {
	control, filtered int64
	customers, tokens map[string]int64         // targeted, by variant
	platforms         map[push.Platform]int64  // targeted tokens
	zones             map[int]int64            // targeted tokens
	results           map[int]map[string]int64 // of tokens, by zone
}

func newZonesSums() *zonesSums {
	return &zonesSums{customers: map[string]int64{}, tokens: map[string]int64{}, platforms: map[push.Platform]int64{}, zones: map[int]int64{}, results: map[int]map[string]int64{}}
}

// expected computes the sums of the mailing from the imported customers.
func (b *zonesBase) expected(m *push.Mailing) *zonesSums {
	by := push.TargetingOf(m, push.DefaultSettings())
	s := newZonesSums()
	for id, c := range b.customers {
		customer := &push.Customer{ID: id}
		for n, platform := range c.tokens {
			customer.Tokens = append(customer.Tokens, push.Token{ID: push.TokenID(zonesToken(id, n)), Platform: platform})
		}
		tokens, why := by.SelectTokens(customer, nil)
		switch why {
		case push.ExcludedControl:
			s.control++
			continue
		case push.ExcludedFiltered:
			s.filtered++
			continue
		}
		variant := m.Variants[by.VariantOf(id)].Name
		s.customers[variant]++
		for _, t := range tokens {
			s.tokens[variant]++
			s.platforms[t.Platform]++
			s.zones[c.offset]++
		}
	}
	return s
}

// recipients returns the sums of the lines of GET /v1/mailings/{id}/recipients.
func (b *zonesBase) recipients(ctx context.Context, c *client.Client, id string) (*zonesSums, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+"/v1/mailings/"+id+"/recipients", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()

	s := newZonesSums()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var x struct {
			Customer, Variant, Result string
			Platform                  push.Platform
		}
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			return nil, fmt.Errorf("reading a line of the recipients: %w", err)
		}
		customer := b.customers[x.Customer]
		if customer == nil {
			return nil, fmt.Errorf("the recipients have the unknown customer %q", x.Customer)
		}
		s.tokens[x.Variant]++
		s.platforms[x.Platform]++
		s.zones[customer.offset]++
		if s.results[customer.offset] == nil {
			s.results[customer.offset] = map[string]int64{}
		}
		s.results[customer.offset][x.Result]++
	}
	return s, lines.Err()
}
