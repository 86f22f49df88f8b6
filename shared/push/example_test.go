package push_test

import (
	"encoding/json"
	"fmt"
	"time"

	"carillon.example/shared/push"
)

// A draft names everything that is wrong with it at once.
func ExampleDraft_Check() {
	var d push.Draft
	err := json.Unmarshal([]byte(`{"message":{"token":"t"},"audience":{},"lifetime":"30s"}`), &d)
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, f := range d.Check(time.Now()) {
		fmt.Printf("%s %s\n", f.Location, f.Message)
	}
	// Output:
	// body.message.token is set by Carillon: a mailing's message has no target
	// body.audience needs exactly one of everyone, customers, segments and tokens; 0 are set
	// body.lifetime is not between 1m and 672h
}

// A mailing goes to all valid tokens of a customer, or to the one added last.
func ExampleCustomer_SelectTokens() {
	day := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	c := push.Customer{ID: "anna", Tokens: []push.Token{
		{ID: "phone", AddedAt: day},
		{ID: "tablet", AddedAt: day.AddDate(0, 0, 7)},
		{ID: "old phone", AddedAt: day, Invalid: &push.TokenFlag{Code: push.CodeUnregistered}},
	}}
	for _, d := range []push.DeviceSelection{push.AllDevices, push.LatestDevice} {
		for _, t := range c.SelectTokens(d) {
			fmt.Println(d, t.ID)
		}
	}
	// Output:
	// all phone
	// all tablet
	// latest tablet
}
