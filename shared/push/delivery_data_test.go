package push_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

func TestAndroidApps(t *testing.T) {
	t.Parallel()
	const shop, pharmacy = "projects/shop-prod/androidApps/1:123:android:0abc", "projects/example.com:pharmacy/androidApps/1:9:android:ff"
	for name, c := range map[string]struct {
		text   string
		want   push.AndroidApps
		faults []string // parts of the error
	}{
		"none":         {text: ""},
		"one":          {text: shop, want: push.AndroidApps{shop}},
		"two":          {text: shop + ", " + pharmacy, want: push.AndroidApps{shop, pharmacy}},
		"an iOS app":   {text: "projects/shop-prod/androidApps/1:123:ios:0abc", faults: []string{"1:123:ios:0abc"}},
		"every fault":  {text: "shop," + shop + "," + shop, faults: []string{`"shop"`, "given twice"}},
		"another path": {text: "projects/shop-prod/androidApps/../../1:1:android:a", faults: []string{"must have the form"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got push.AndroidApps
			err := got.UnmarshalText([]byte(c.text))
			if (err != nil) != (len(c.faults) > 0) {
				t.Fatalf("error %v, want faults %q", err, c.faults)
			}
			for _, fault := range c.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("error %q does not name %q", err, fault)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("apps differ (-want +got):\n%s", diff)
			}
		})
	}
}
