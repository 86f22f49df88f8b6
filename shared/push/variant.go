package push

import (
	"encoding/json"
	"fmt"
	"math"
)

// Limits of the variants of a mailing.
const (
	MinVariants = 2
	MaxVariants = 5
	// shareSlack is by how much the shares of all variants may miss 1: three thirds are
	// written as 0.333.
	shareSlack = 0.005
)

// A Variant is one of several messages of a mailing. Each customer gets one of them.
type Variant struct {
	Name    string          `json:"name" doc:"the name of the variant in sums and lists, at most 50 bytes"`
	Share   float64         `json:"share" minimum:"0" maximum:"1" doc:"the share of the customers who get this variant; the shares of all variants add up to 1"`
	Message json.RawMessage `json:"message" doc:"FCM v1's message object without a target, as in a mailing with one message"`
	Link    string          `json:"link,omitempty" doc:"the address that a tap opens; it is sent as data.link"`
}

// ListPayloads returns the variants of a mailing; one without a name for a mailing with a
// single message.
func (d *Draft) ListPayloads() []Variant {
	if len(d.Variants) > 0 {
		return d.Variants
	}
	return []Variant{{Share: 1, Message: d.Message, Link: d.Link}}
}

// PayloadAt returns the place of the payload with that index in the body of a request:
// "body", or "body.variants[1]".
func (d *Draft) PayloadAt(i int) string {
	if len(d.Variants) == 0 {
		return "body"
	}
	return fmt.Sprintf("body.variants[%d]", i)
}

// variantShares returns the shares of the variants, nil for a mailing with a single message.
func (d *Draft) variantShares() []float64 {
	var out []float64
	for _, v := range d.Variants {
		out = append(out, v.Share)
	}
	return out
}

// checkPayloads checks the message, or the variants if there are any.
func (d *Draft) checkPayloads(f *Faults) {
	if d.Variants == nil {
		checkMessage(f, d.Message)
		checkLink(f, d.Link)
		return
	}

	if len(d.Message) > 0 {
		f.add("body.message", "must be left out: the variants have the messages")
	}
	if d.Link != "" {
		f.add("body.link", "must be left out: the variants have the links")
	}
	if n := len(d.Variants); n < MinVariants || n > MaxVariants {
		f.add("body.variants", "must be %d to %d variants; %d are given", MinVariants, MaxVariants, n)
		return
	}

	sum, names := 0.0, map[string]bool{}
	for i, v := range d.Variants {
		at := d.PayloadAt(i)
		if why := CheckTag(v.Name); why != "" {
			f.add(at+".name", "%s", why)
		} else if names[v.Name] {
			f.add(at+".name", "is given twice")
		}

		names[v.Name] = true
		if !(v.Share > 0 && v.Share < 1) {
			f.add(at+".share", "must be between 0 and 1")
		}

		sum += v.Share

		var own Faults
		checkMessage(&own, v.Message)
		checkLink(&own, v.Link)
		for _, x := range own.WithLocation(at) {
			f.add(x.Location, "%s", x.Message)
		}
	}

	if math.Abs(sum-1) > shareSlack {
		f.add("body.variants", "have shares that add up to %.4g; they must add up to 1", sum)
	}
}

// VariantOf returns the index of the variant that a customer gets. It is a hash of
// mailing and customer, so that every try decides the same.
func (g *Targeting) VariantOf(customer string) int {
	sum := 0.0
	for _, share := range g.Shares {
		sum += share
	}
	at, last := shareOf(g.Mailing, "variant", customer)*sum, 0
	for i, share := range g.Shares {
		if at -= share; at < 0 {
			return i
		}
		last = i
	}
	return last
}

// VariantTotals has the sums of one variant of a mailing.
type VariantTotals struct {
	Customers int64 `json:"customers" doc:"customers who get this variant"`
	TokenTotals
}
