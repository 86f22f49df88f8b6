package fcm_test

import (
	"context"
	"encoding/json"
	"fmt"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// A message is compiled once and sent to many; every item is answered once.
func ExampleSender() {
	server, err := phones.Start("127.0.0.1:0", phones.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	defer server.Close()
	server.SetOutcome("old-phone", "UNREGISTERED")

	ctx := context.Background()
	sender, err := fcm.New(ctx, fcm.Config{Project: "p", Endpoint: server.URL()})
	if err != nil {
		fmt.Println(err)
		return
	}

	defer sender.Close()
	message, err := fcm.Compile(json.RawMessage(`{"notification":{"title":"Spring sale"}}`), fcm.Extra{MailingID: "m1"})
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, token := range []string{"new-phone", "old-phone"} {
		answer := make(chan fcm.Answer)
		sender.Send(ctx, fcm.Item{Message: message, Customer: "anna", Target: token, Kind: push.KindToken},
			func(a fcm.Answer) { answer <- a })
		a := <-answer
		fmt.Printf("%s: %s %q\n", token, a.Class, a.Code)
	}
	// Output:
	// new-phone: accepted ""
	// old-phone: invalid "UNREGISTERED"
}
