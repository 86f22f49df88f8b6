package personal_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"carillon.example/shared/personal"
)

// BenchmarkRender renders a title and a body, and compares the time with that of joining the
// same strings.
func BenchmarkRender(b *testing.B) {
	x, faults := personal.Compile(json.RawMessage(`{"notification":{"title":"Hello {{ customer.name }}","body":"You have {{ customer.points }} points{% if customer.gold %} and gold{% endif %}."}}`), "")
	if len(faults) > 0 {
		b.Fatal(faults)
	}
	attributes := map[string]any{"name": "Anna", "points": 1250.0, "gold": true}
	for b.Loop() {
		if _, _, err := x.Render("c", attributes); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renders/s")

	began := time.Now()
	for range b.N {
		if _, err := json.Marshal(map[string]any{"notification": map[string]string{"title": "Hello " + fmt.Sprint(attributes["name"]),
			"body": "You have " + fmt.Sprint(attributes["points"]) + " points and gold."}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(time.Since(began)), "×json.Marshal")
}
