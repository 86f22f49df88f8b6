package instances

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"carillon.example/emulators/loopback"
	"carillon.example/functions/customers"
	"carillon.example/functions/deliver"
	"carillon.example/functions/devices"
	"carillon.example/functions/dispatch"
	"carillon.example/functions/mailings"
	"carillon.example/functions/tick"
)

// Handlers are the functions as they are deployed, by name.
var Handlers = map[string]http.Handler{
	"mailings": mailings.Handler, "customers": customers.Handler,
	"dispatch": dispatch.Handler, "deliver": deliver.Handler, "tick": tick.Handler,
	"devices": devices.Handler,
}

// lastWords is how long Cloud Run lets an instance live after SIGTERM.
const shutdownTimeout = 10 * time.Second

// ServeFunction serves one function in a process of its own, as an instance on Cloud
// Run: the environment names what it reaches, SIGTERM gives it ten seconds to
// finish what it has begun. Its address is its first line. It ends with its
// standard input, too, so that none outlives whoever started it.
func ServeFunction(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 || Handlers[args[0]] == nil {
		names := make([]string, 0, len(Handlers))
		for n := range Handlers {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("function: name one of %s", strings.Join(names, ", "))
	}

	ctx, orphaned := context.WithCancel(ctx)
	defer orphaned()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		orphaned()
	}()

	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("function %s: %w", args[0], err)
	}

	srv := &http.Server{Handler: loopback.Doors(Handlers[args[0]]), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	fmt.Fprintln(out, ln.Addr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}

	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(patience); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("function %s was not done in time: %w", args[0], err)
	}
	return nil
}
