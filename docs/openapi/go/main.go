// Command clients runs the main flow over clients that are generated from the
// OpenAPI documents. TestGeneratedClients generates them beside it, in folders named
// after the functions, and runs it.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"carillon.example/clients/customers"
	"carillon.example/clients/devices"
	"carillon.example/clients/mailings"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := flow(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flow imports two customers, registers the device of a third, sends, and reads who
// can still be reached.
func flow(ctx context.Context, api, apps, idToken string) error {
	people, err := customers.NewClientWithResponses(api)
	if err != nil {
		return err
	}
	imported, err := people.ImportCustomersWithBodyWithResponse(ctx, "text/csv", strings.NewReader("id,token,platform\ngo-alive,go-alive:token,android\ngo-dead,go-dead:token,ios\n"))
	if err != nil {
		return err
	}
	if imported.JSON200 == nil || imported.JSON200.Imported != 2 {
		return fmt.Errorf("the import was answered %s %s", imported.Status(), imported.Body)
	}
	if err := register(ctx, apps, idToken); err != nil {
		return err
	}

	id, err := send(ctx, api)
	if err != nil {
		return err
	}
	if err := completed(ctx, api, id); err != nil {
		return err
	}

	for customer, want := range map[string]bool{"go-alive": true, "go-dead": false, "go-app": true} {
		shown, err := people.ShowCustomerWithResponse(ctx, customer)
		if err != nil {
			return err
		}
		if shown.JSON200 == nil || shown.JSON200.PushAvailable != want {
			return fmt.Errorf("%s was answered %s %s, want pushAvailable %t", customer, shown.Status(), shown.Body, want)
		}
	}
	unknown, err := people.ShowCustomerWithResponse(ctx, "go-nobody")
	if err != nil {
		return err
	}
	if unknown.ApplicationproblemJSON404 == nil || unknown.ApplicationproblemJSON404.Status != http.StatusNotFound {
		return fmt.Errorf("an unknown customer was answered %s %s", unknown.Status(), unknown.Body)
	}
	return nil
}

// register is what an app does at its start.
func register(ctx context.Context, apps, idToken string) error {
	app, err := devices.NewClientWithResponses(apps, devices.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+idToken)
		return nil
	}))
	if err != nil {
		return err
	}
	token := "go-app:token"
	registered, err := app.RegisterDeviceWithResponse(ctx, devices.Registration{Token: &token, Platform: devices.Android})
	if err != nil {
		return err
	}
	if registered.JSON201 == nil || !registered.JSON201.Valid {
		return fmt.Errorf("the device was answered %s %s", registered.Status(), registered.Body)
	}
	return nil
}

// send creates a mailing twice with one key, as a program does that got no answer.
func send(ctx context.Context, api string) (id string, err error) {
	sender, err := mailings.NewClientWithResponses(api)
	if err != nil {
		return "", err
	}
	title, key := "Hi from Go", fmt.Sprint("go-", time.Now().UnixNano())
	draft := mailings.Draft{Message: &mailings.Message{Notification: &mailings.Message_Notification{Title: &title}}}
	if err := draft.Audience.FromAudienceCustomers(mailings.AudienceCustomers{Customers: []string{"go-alive", "go-dead", "go-app"}}); err != nil {
		return "", err
	}
	for _, replayed := range []bool{false, true} {
		created, err := sender.CreateMailingWithResponse(ctx, &mailings.CreateMailingParams{IdempotencyKey: &key}, draft)
		if err != nil {
			return "", err
		}
		if created.JSON202 == nil || id != "" && created.JSON202.Id != id {
			return "", fmt.Errorf("the mailing was answered %s %s", created.Status(), created.Body)
		}
		if got := created.Headers202.IdempotencyReplayed != nil; got != replayed {
			return "", fmt.Errorf("Idempotency-Replayed is there: %t, want %t", got, replayed)
		}
		id = created.JSON202.Id
	}
	return id, nil
}

// completed waits until the mailing is, and holds it to its sums.
func completed(ctx context.Context, api, id string) error {
	reader, err := mailings.NewClientWithResponses(api)
	if err != nil {
		return err
	}
	for {
		shown, err := reader.ShowMailingWithResponse(ctx, id, nil)
		if err != nil {
			return err
		}
		m := shown.JSON200
		switch {
		case m == nil:
			return fmt.Errorf("the mailing was answered %s %s", shown.Status(), shown.Body)
		case m.State != mailings.MailingBodyStateCompleted:
			time.Sleep(50 * time.Millisecond)
			continue
		case m.Customers.Targeted != 3, m.Tokens.Accepted != 2, m.Tokens.Invalid["UNREGISTERED"] != 1:
			return fmt.Errorf("the mailing ended as %s", shown.Body)
		}
		return nil
	}
}
