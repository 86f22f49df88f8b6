package probe

import (
	"context"
	"fmt"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
)

// noIndexes are the declared indexes of a database that does not know the collection.
const noIndexes = `{"indexes": [], "fieldOverrides": []}`

// compareFirestore makes every operation in the database and in our emulator. It removes the
// collection from the database whatever happened before.
func (p *probe) compareFirestore(ctx context.Context, n names, hidden *redactor) (out *comparisons, faults []error) {
	defer func() { faults = prefixed("Firestore", faults) }()
	client, host, err := p.openFirestore(ctx)
	if err != nil {
		return nil, []error{err}
	}
	defer client.Close()
	emulator, closeEmulator, err := startFirestore(ctx, p.project, hidden, n.collection)
	if err != nil {
		return nil, []error{err}
	}
	defer closeEmulator()

	fmt.Fprintf(p.out, "\nFirestore at %s. The collection %s of database %s is written now, and removed afterwards.\n\n", host, n.collection, p.database)
	service := &scratch{client: client, collection: client.Collection(n.collection), hidden: hidden, limits: p.limits}
	defer func() {
		if err := service.remove(ctx); err != nil {
			faults = append(faults, err)
			return
		}
		fmt.Fprintf(p.out, "The collection %s is removed.\n", n.collection)
	}()

	all := operations()
	out = &comparisons{Service: hidden.hide(host)}
	faults = out.compareAll(ctx, len(all), func(i int) (comparison, error) { return compareOperation(ctx, all[i], service, emulator) })
	out.print(p.out)
	return out, faults
}

// compareOperation makes one operation on both sides.
func compareOperation(ctx context.Context, o operation, service, emulator *scratch) (one comparison, err error) {
	one = comparison{Case: o.name, Note: o.note}
	if one.Service, err = service.do(ctx, o); err != nil {
		return one, err
	}
	if one.Emulator, err = emulator.do(ctx, o); err != nil {
		return one, fmt.Errorf("our emulator: %w", err)
	}
	one.compare()
	return one, nil
}

// openFirestore opens the database, and returns its host.
func (p *probe) openFirestore(ctx context.Context) (*sdk.Client, string, error) {
	if p.firestoreHost == "" {
		client, err := sdk.NewClientWithDatabase(ctx, p.project, p.database)
		if err != nil {
			return nil, "", fmt.Errorf("opening the database: %w", err)
		}
		return client, "firestore.googleapis.com", nil
	}
	client, err := dialFirestore(ctx, p.firestoreHost, p.project, p.database)
	return client, p.firestoreHost, err
}

// startFirestore starts our emulator, and opens the collection there.
func startFirestore(ctx context.Context, project string, hidden *redactor, collection string) (*scratch, func(), error) {
	server, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: []byte(noIndexes)})
	if err != nil {
		return nil, nil, err
	}
	client, err := dialFirestore(ctx, server.Addr(), project, sdk.DefaultDatabaseID)
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	closeBoth := func() {
		client.Close()
		server.Close()
	}
	return &scratch{client: client, collection: client.Collection(collection), hidden: hidden, limits: defaultLimits}, closeBoth, nil
}

// dialFirestore opens a database of an emulator. The connection belongs to the client, and is
// that of this emulator also if FIRESTORE_EMULATOR_HOST names another one.
func dialFirestore(ctx context.Context, host, project, database string) (*sdk.Client, error) {
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(owner{}))
	if err != nil {
		return nil, fmt.Errorf("connecting to the emulator %s: %w", host, err)
	}
	client, err := sdk.NewClientWithDatabase(ctx, project, database, option.WithGRPCConn(conn))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening the database of the emulator %s: %w", host, err)
	}
	return client, nil
}

// owner is the credential that SDKs send to emulators. It is no secret. Google's emulator
// applies security rules to callers without it.
type owner struct{}

// GetRequestMetadata returns the header of each request.
func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": emulatorHeader.Get("Authorization")}, nil
}

// RequireTransportSecurity returns false, because an emulator has none.
func (owner) RequireTransportSecurity() bool { return false }
