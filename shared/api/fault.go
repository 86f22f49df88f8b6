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
	// maxFaults is how many faults an answer names.
	maxFaults = 200
	// maxLocation is how many bytes of the place of a fault are repeated: the name of
	// an unknown field is input.
	maxLocation = 100
)

// Join adds the faults of later checks to the first ones, without those that only
// follow from the first: a field that is already reported is not reported again as
// empty.
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

// within reports whether f is at the place of outer or below it.
func within(f, outer push.Fault) bool {
	rest, ok := strings.CutPrefix(f.Location, outer.Location)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// detailed converts errors of huma to faults: without values, with a missing field at
// its own place, and in the order of the places (the order of huma comes from a map).
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
		// err.Error is not used: the text of an ErrorDetail contains the whole body,
		// and costs as much.
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

// spelled returns the faults that an answer names, at most maxFaults.
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
