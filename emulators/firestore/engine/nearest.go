package engine

import (
	"cmp"
	"math"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

const maxNearest = 1000

// nearest is the vector search of a query. It sorts documents by the distance
// of their vector from a given vector. It compares every document.
type nearest struct {
	path      fieldPath
	vector    []float64
	measure   pb.StructuredQuery_FindNearest_DistanceMeasure
	limit     int
	result    string // the field for the distance in the result, "" for none
	threshold *float64
}

func (q *Query) readNearest(sq *pb.StructuredQuery) error {
	f := sq.GetFindNearest()
	if f == nil {
		return nil
	}

	n := &nearest{measure: f.GetDistanceMeasure(), limit: int(f.GetLimit().GetValue()), result: f.GetDistanceResultField()}
	var err error
	if n.path, err = parseFieldPath(f.GetVectorField().GetFieldPath()); err != nil {
		return err
	}

	for _, v := range vectorOf(f.GetQueryVector()) {
		n.vector = append(n.vector, asDouble(v))
	}
	switch {
	case len(n.vector) == 0 || len(n.vector) > maxDimensions:
		return invalidArgument("The query vector must have 1 to %d dimensions.", maxDimensions)
	case n.limit < 1 || n.limit > maxNearest:
		return invalidArgument("FindNearest needs a limit between 1 and %d.", maxNearest)
	case n.measure < pb.StructuredQuery_FindNearest_EUCLIDEAN || n.measure > pb.StructuredQuery_FindNearest_DOT_PRODUCT:
		return invalidArgument("FindNearest needs a distance measure.")
	}
	if t := f.GetDistanceThreshold(); t != nil {
		d := t.GetValue()
		n.threshold = &d
	}

	q.nearest, q.required = n, append(q.required, n.path)
	return nil
}

// A neighbour is a document and its distance.
type neighbour struct {
	row
	distance float64
}

// pickNearest returns the nearest rows, nearest first. The distance counts as a
// field of the document.
func (n *nearest) pickNearest(q *Query, rows []row) []*Document {
	var near []neighbour
	for _, r := range rows {
		v, _ := r.v.body.valueAt(n.path)
		if kindOf(v) != kindVector || len(vectorOf(v)) != len(n.vector) {
			continue
		}
		if d := n.distanceTo(vectorOf(v)); n.withinThreshold(d) {
			near = append(near, neighbour{r, d})
		}
	}

	slices.SortStableFunc(near, func(a, b neighbour) int {
		if n.measure == pb.StructuredQuery_FindNearest_DOT_PRODUCT {
			return cmp.Compare(b.distance, a.distance)
		}
		return cmp.Compare(a.distance, b.distance)
	})

	var out []*Document
	for _, x := range near[:min(len(near), n.limit)] {
		d := q.documentOf(x.row)
		if n.result != "" {
			d.extra = map[string]*pb.Value{n.result: doubleValue(x.distance)}
		}
		out = append(out, d)
	}

	return out
}

func (n *nearest) withinThreshold(d float64) bool {
	switch {
	case n.threshold == nil:
		return true
	case n.measure == pb.StructuredQuery_FindNearest_DOT_PRODUCT:
		return d >= *n.threshold
	}
	return d <= *n.threshold
}

func (n *nearest) distanceTo(vs []*pb.Value) float64 {
	var squares, dot, lengthA, lengthB float64
	for i, v := range vs {
		a, b := asDouble(v), n.vector[i]
		squares += (a - b) * (a - b)
		dot += a * b
		lengthA += a * a
		lengthB += b * b
	}

	switch n.measure {
	case pb.StructuredQuery_FindNearest_EUCLIDEAN:
		return math.Sqrt(squares)
	case pb.StructuredQuery_FindNearest_COSINE:
		return 1 - dot/math.Sqrt(lengthA*lengthB)
	}

	return dot
}
