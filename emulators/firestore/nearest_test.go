package firestore_test

import (
	"fmt"
	"testing"

	sdk "cloud.google.com/go/firestore"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// TestNearestDocuments searches by vector. A document without a vector of as many dimensions is
// left out.
func TestNearestDocuments(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, firestore.Options{}).Addr())
	col := c.Collection("places")
	for id, vector := range map[string]any{
		"near": sdk.Vector64{1, 0}, "middle": sdk.Vector64{5, 4}, "far": sdk.Vector64{32, 40},
		"short": sdk.Vector64{1}, "list": []any{1.0, 0.0}, "none": nil,
	} {
		mustSet(t, col.Doc(id), doc{"v": vector})
	}
	five := 5.0
	for name, x := range map[string]struct {
		measure   sdk.DistanceMeasure
		most      int
		threshold *float64
		want      string // ids and distances, in the order of the result
	}{
		"Euclidean":                {sdk.DistanceMeasureEuclidean, 10, nil, "[near 1 middle 5 far 50]"},
		"Euclidean, two":           {sdk.DistanceMeasureEuclidean, 2, nil, "[near 1 middle 5]"},
		"Euclidean, at most five":  {sdk.DistanceMeasureEuclidean, 10, &five, "[near 1 middle 5]"},
		"dot product":              {sdk.DistanceMeasureDotProduct, 10, nil, "[far 64 middle 10 near 2]"},
		"dot product, five and up": {sdk.DistanceMeasureDotProduct, 10, &five, "[far 64 middle 10]"},
		"cosine, one":              {sdk.DistanceMeasureCosine, 1, nil, "[near 0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := &sdk.FindNearestOptions{DistanceThreshold: x.threshold, DistanceResultField: "distance"}
			snaps, err := col.FindNearest("v", sdk.Vector64{2, 0}, x.most, x.measure, options).Documents(t.Context()).GetAll()
			if err != nil {
				t.Fatal(err)
			}
			var got []any
			for _, s := range snaps {
				got = append(got, s.Ref.ID, s.Data()["distance"])
			}
			check.Equal(t, fmt.Sprint(got), x.want, "ids and distances")
		})
	}
}
