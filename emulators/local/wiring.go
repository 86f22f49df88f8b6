package local

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"carillon.example/emulators/inbox"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/loopback"
)

// Serve serves the HTTP functions at one address and routes by path, as a load balancer
// does. It serves the workers, and the handler of events if it is not nil, at a second
// address. In the cloud each worker has its own run.app address.
func (l *Cloud) Serve(of func(fn string) http.Handler, events http.Handler) (err error) {
	if l.APIURL, err = l.serveOn(l.APIAddr, apiMux(of)); err != nil {
		return fmt.Errorf("serving the API on %s: %w", l.APIAddr, err)
	}
	workers := workerMux(of)
	if events != nil {
		workers.Handle("/events", events)
	}
	l.PushURL, err = l.serveOn("127.0.0.1:0", loopback.SameOrigin(workers, "pages of other origins may not call the workers"))
	return err
}

// localHandler returns the handler of a function in this process.
func localHandler(fn string) http.Handler { return instances.Handlers[fn] }

// functionHandlers returns a function that finds the handler of a function by name. All
// run in this process, but with -instances deliver runs in its own processes.
func (l *Cloud) functionHandlers(ctx context.Context) (func(fn string) http.Handler, error) {
	if l.Instances == 0 {
		return localHandler, nil
	}
	f, err := l.startFleet(ctx, map[string]int{"deliver": l.Instances})
	if err != nil {
		return nil, err
	}
	return func(fn string) http.Handler {
		if fn == "deliver" {
			return f.Handler(fn)
		}
		return localHandler(fn)
	}, nil
}

// serveInbox serves the page that shows the messages that phones got. api is nil if no
// functions run.
func (l *Cloud) serveInbox(api http.Handler) (err error) {
	if l.Phones == nil {
		return nil
	}
	o := inbox.Options{FCM: l.Phones.AdminHandler(), API: api, Address: l.Phones.URL(), Project: l.Project}
	if l.Firestore != nil {
		o.Firestore = l.Firestore.HTTPHandler()
	}
	if l.UIURL, err = l.serveOn(l.UIAddr, inbox.Handler(o)); err != nil {
		return fmt.Errorf("serving the inbox on %s: %w", l.UIAddr, err)
	}
	return nil
}

// apiMux routes to the functions by the unchanged path, as a load balancer does. A
// ServeMux would redirect to the cleaned path, and a client that follows the redirect
// would request another resource.
func apiMux(of func(fn string) http.Handler) http.Handler {
	mailings, customers := of("mailings"), of("customers")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == "/v1/mailings", strings.HasPrefix(p, "/v1/mailings/"), p == "/v1/messages", p == "/v1/messages:batch", strings.HasPrefix(p, "/v1/messages/"):
			mailings.ServeHTTP(w, r)
		case p == "/mailings/", p == "/mailings/openapi.json":
			http.StripPrefix("/mailings", mailings).ServeHTTP(w, r)
		case p == "/customers/", p == "/customers/openapi.json":
			http.StripPrefix("/customers", customers).ServeHTTP(w, r)
		default:
			customers.ServeHTTP(w, r)
		}
	})
}

func workerMux(of func(fn string) http.Handler) *http.ServeMux {
	workers := http.NewServeMux()
	for _, fn := range []string{"dispatch", "deliver", "tick"} {
		workers.Handle("/"+fn, of(fn))
	}
	return workers
}

// Subscribe creates the topics and subscriptions of terraform/pubsub.tf. All have the
// same ack deadline and the same number of attempts.
func (l *Cloud) Subscribe(ctx context.Context) error {
	client, err := pubsub.NewClient(ctx, l.Project)
	if err != nil {
		return fmt.Errorf("reaching Pub/Sub: %w", err)
	}

	l.OnClose(func() { client.Close() })
	topics := []string{"push-events"}
	for topic := range subscribers {
		topics = append(topics, topic, topic+"-dead")
	}

	for _, t := range topics {
		_, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: l.TopicName(t)})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("creating topic %s: %w", t, err)
		}
	}

	for topic, worker := range subscribers {
		if err := l.subscribeWorker(ctx, client, topic, worker, topic+"-dead"); err != nil {
			return err
		}
	}

	for _, dead := range []string{"deliver-dead", "deliver-small-dead", "messages-dead"} {
		if err := l.subscribeWorker(ctx, client, dead, "deliver", ""); err != nil {
			return err
		}
	}

	if l.PubSub != nil {
		l.PubSub.StartPushes() // all subscriptions of -data have their new endpoints
	}
	return nil
}

// subscribers maps each topic to the worker that gets its messages. The topic for small
// batches has its own subscription, so that large batches do not use up its concurrent
// pushes. In the cloud it also has its own instances.
var subscribers = map[string]string{"dispatch": "dispatch", "deliver": "deliver", "deliver-small": "deliver", "messages": "deliver", "tick": "tick"}

// maxInFlight returns the largest number of concurrent pushes of subscriptions, where it is
// not the default: a message to one customer is small and mostly waits for FCM.
func (l *Cloud) maxInFlight() map[string]int {
	most := map[string]int{"messages": 256}
	if l.DispatchCalls > 0 {
		most["dispatch"] = l.DispatchCalls
	}
	return most
}

// TopicName returns the full name of a topic.
func (l *Cloud) TopicName(name string) string { return "projects/" + l.Project + "/topics/" + name }

// subscribeWorker subscribes a worker to a topic. If the subscription exists, it gets the
// new push address. dead is the dead letter topic; "": there is none.
func (l *Cloud) subscribeWorker(ctx context.Context, client *pubsub.Client, topic, worker, dead string) error {
	s := &pubsubpb.Subscription{
		Name: "projects/" + l.Project + "/subscriptions/" + topic, Topic: l.TopicName(topic),
		PushConfig:         &pubsubpb.PushConfig{PushEndpoint: l.PushURL + "/" + worker},
		AckDeadlineSeconds: 120,
		RetryPolicy:        l.retryPolicy(),
		// Two copies of a message to one customer are never under way at the same time.
		// Google's emulator pushes them at the same time anyway, and stops an ordered
		// subscription for good when some pushes fail (emulators/official).
		EnableMessageOrdering: topic == "messages" && l.PubSub != nil,
	}
	if dead != "" {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: l.TopicName(dead), MaxDeliveryAttempts: int32(cmp.Or(l.Attempts, 20))}
	}
	_, err := client.SubscriptionAdminClient.CreateSubscription(ctx, s)
	if status.Code(err) == codes.AlreadyExists {
		err = client.SubscriptionAdminClient.ModifyPushConfig(ctx, &pubsubpb.ModifyPushConfigRequest{Subscription: s.Name, PushConfig: s.PushConfig})
	}
	if err != nil {
		return fmt.Errorf("subscribing %s to topic %s: %w", worker, topic, err)
	}
	if l.PubSub == nil {
		l.OnClose(func() { stopPushes(client, s.Name) })
	}

	return nil
}

// stopPushes stops an external server from pushing to an address that has closed. The
// messages stay in the subscription until a worker subscribes again. The context is
// new because stopPushes runs in Close, when the context of the command has ended.
func stopPushes(client *pubsub.Client, subscription string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = client.SubscriptionAdminClient.ModifyPushConfig(ctx, &pubsubpb.ModifyPushConfigRequest{ // the command ends, so an error is ignored
		Subscription: subscription, PushConfig: &pubsubpb.PushConfig{}})
}

// retryPolicy returns the retry policy of Terraform. The embedded server scales
// back-offs itself; for an external server, retryPolicy scales them.
func (l *Cloud) retryPolicy() *pubsubpb.RetryPolicy {
	scale := 1.0
	if l.PubSub == nil {
		scale = l.BackOff
	}
	scaled := func(d time.Duration) *durationpb.Duration { return durationpb.New(time.Duration(scale * float64(d))) }
	return &pubsubpb.RetryPolicy{MinimumBackoff: scaled(10 * time.Second), MaximumBackoff: scaled(10 * time.Minute)}
}

// RunClock publishes a tick at the interval l.Clock until Close or the end of ctx, as
// Cloud Scheduler does.
func (l *Cloud) RunClock(ctx context.Context) error {
	client, err := pubsub.NewClient(ctx, l.Project)
	if err != nil {
		return fmt.Errorf("reaching Pub/Sub: %w", err)
	}

	p := client.Publisher("tick")
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(l.Clock)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case at := <-t.C:
				p.Publish(ctx, &pubsub.Message{Data: fmt.Appendf(nil, `{"at":%q}`, at.UTC().Format(time.RFC3339))})
			}
		}
	}()

	l.OnClose(func() { cancel(); <-done; p.Stop(); client.Close() })
	return nil
}
