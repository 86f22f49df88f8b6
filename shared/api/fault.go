package api

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

const (
	// maxFaults is how many faults an answer spells out.
	maxFaults = 200
	// maxLocation is how much of a fault's place is repeated: the name of an
	// unknown field is the caller's own text.
	maxLocation = 100
)

// Join adds to the faults found first those that later checks found in what
// could be read, without those that only follow from the first: what is faulty
// or missing already need not be called empty too.
func Join(first push.Faults, later ...push.Fault) push.Faults {
	out := slices.Clone(first)
	for _, f := range later {
		if !slices.ContainsFunc(first, func(x push.Fault) bool { return within(f, x) }) {
			out = append(out, f)
		}
	}
	return out
}

// NamesField reports whether faults name one of those places.
func NamesField(faults push.Faults, places ...string) bool {
	return slices.ContainsFunc(faults, func(f push.Fault) bool { return slices.Contains(places, f.Location) })
}

// within reports whether f lies at the place of outer or below it.
func within(f, outer push.Fault) bool {
	rest, ok := strings.CutPrefix(f.Location, outer.Location)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// detailed puts huma's errors as faults: without the values, a missing field at
// its own place, in the order of the places (huma's comes from a map).
func detailed(errs []error) push.Faults {
	var out push.Faults
	for _, err := range errs {
		if err == nil {
			continue
		}
		var e huma.ErrorDetailer
		if !errors.As(err, &e) {
			out = append(out, push.Fault{Message: err.Error()})
			continue
		}
		// Not err.Error(): the text of an ErrorDetail has the whole body in it, and
		// costs as much.
		d := e.ErrorDetail()
		out = append(out, missing(push.Fault{Location: d.Location, Message: d.Message}))
	}

	slices.SortStableFunc(out, func(a, b push.Fault) int { return cmp.Compare(a.Location, b.Location) })
	return out
}

func missing(f push.Fault) push.Fault {
	name, ok := strings.CutPrefix(f.Message, "expected required property ")
	if name, ok2 := strings.CutSuffix(name, " to be present"); ok && ok2 {
		return push.Fault{Location: f.Location + "." + name, Message: "is missing"}
	}
	return f
}

// spelled is what an answer says of faults: not more than anybody reads.
func spelled(faults push.Faults) push.Faults {
	out := slices.Clone(faults[:min(len(faults), maxFaults)])
	for i := range out {
		out[i].Location = push.Truncate(out[i].Location, maxLocation)
	}
	if len(out) < len(faults) {
		out = append(out, moreFaults)
	}
	return out
}
