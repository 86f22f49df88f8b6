package personal_test

import (
	"encoding/json"
	"fmt"

	"carillon.example/shared/personal"
)

func ExampleCompile() {
	message := json.RawMessage(`{"notification":{"title":"Hello {{ customer.name | default: \"friend\" }}"}}`)
	t, faults := personal.Compile(message, "https://shop.example/?for={{ customer.id }}")
	if len(faults) > 0 {
		fmt.Println(faults)
		return
	}
	got, link, err := t.Render("c&1", map[string]any{"name": "Anna"})
	fmt.Println(string(got), link, err)
	_, faults = personal.Compile(json.RawMessage(`{"notification":{"body":"{{ customer.name | shout }}"}}`), "")
	fmt.Println(faults[0].Location)
	// Output:
	// {"notification":{"title":"Hello Anna"}} https://shop.example/?for=c%261 <nil>
	// body.message.notification.body
}

func ExampleTemplate_Render() {
	message := json.RawMessage(`{"data":{"offer":"{% if customer.points >= 1000 %}gold{% else %}plain{% endif %}","points":"{{ customer.points | thousands: ',' }}"}}`)
	t, _ := personal.Compile(message, "")
	fmt.Println(t.Personal(), t.Names())
	for _, attributes := range []map[string]any{{"points": 12500.0}, nil} {
		got, _, err := t.Render("c1", attributes)
		fmt.Println(string(got), err)
	}
	// Output:
	// true [points]
	// {"data":{"offer":"gold","points":"12,500"}} <nil>
	// {"data":{"offer":"plain","points":""}} <nil>
}
