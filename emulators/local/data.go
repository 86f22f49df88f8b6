package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"carillon.example/emulators/snapshot"
)

// A dataFolder keeps the state of emulators in files, one for each (-data). A nil dataFolder
// keeps nothing.
type dataFolder struct {
	dir  string
	lock *snapshot.Lock
	kept []*keptEmulator // in the order of their start

	saving sync.Mutex // guards saved and content of each keptEmulator, and err
	err    error      // of the last save
}

// A keptEmulator is an emulator whose state is in a file of the folder.
type keptEmulator struct {
	file    string
	changes func() uint64                               // a number that grows with every change, from 0
	save    func(io.Writer) (content string, err error) // content says how much was saved
	saved   uint64                                      // the changes that the file has
	content string                                      // what the file has
	found   bool                                        // there was a file at the start
}

// openData locks the folder of -data until Close.
func (l *Cloud) openData() error {
	if l.DataDir == "" {
		return nil
	}
	lock, err := snapshot.LockFolder(l.DataDir)
	if err != nil {
		return fmt.Errorf("-data: %w", err)
	}
	l.data = &dataFolder{dir: l.DataDir, lock: lock}
	l.OnClose(lock.Release)
	return nil
}

// startKept starts an emulator with the content of its file, or with nil if there is none, and
// keeps it. start returns what is kept. An invalid file is not changed, and the error says what
// can be done about it.
func (d *dataFolder) startKept(file string, start func(io.Reader) (*keptEmulator, error)) error {
	if d == nil {
		_, err := start(nil)
		return err
	}

	var k *keptEmulator
	path := filepath.Join(d.dir, file)
	found, err := snapshot.Load(path, func(r io.Reader) (err error) {
		k, err = start(r)
		return err
	})
	if err == nil && !found {
		k, err = start(nil)
	}
	if invalid := (*snapshot.InvalidError)(nil); errors.As(err, &invalid) {
		return fmt.Errorf("-data: %s cannot be used and was not changed: put a good copy in its place, or move it away to start without its content: %w", path, err)
	}
	if err != nil {
		return err
	}

	k.file, k.found = file, found
	d.kept = append(d.kept, k)
	return nil
}

// saveChanges writes the files of the emulators that have changed. All are written before the
// first one gets its name, so a disk that is full changes none. Messages are written before
// documents, and get their name after them: a process that is killed never leaves a message
// about a document that is not there, and what it lost is published again.
func (d *dataFolder) saveChanges() error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.err = d.replaceFiles()
	return d.err
}

// A newFile is what a keptEmulator has written.
type newFile struct {
	*snapshot.Prepared
	of      *keptEmulator
	changes uint64
	content string
}

func (d *dataFolder) replaceFiles() error {
	var files []newFile
	defer func() {
		for _, f := range files {
			f.Discard()
		}
	}()
	for _, k := range slices.Backward(d.kept) {
		f := newFile{of: k, changes: k.changes()} // before the state is read, so that no change is missed
		if f.changes == k.saved {
			continue
		}
		var err error
		if f.Prepared, err = snapshot.Prepare(filepath.Join(d.dir, k.file), func(w io.Writer) (err error) { f.content, err = k.save(w); return err }); err != nil {
			return err
		}
		files = append(files, f)
	}

	for _, f := range slices.Backward(files) {
		if err := f.Commit(); err != nil {
			return err
		}
		f.of.saved, f.of.content = f.changes, f.content
	}
	return nil
}

// saveRegularly saves, with an interval between the end of a save and the next one, until stop is
// called. An error is logged, and the next save tries again.
func (d *dataFolder) saveRegularly(interval time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval):
				if err := d.saveChanges(); err != nil {
					slog.Error("saving the data of the emulators", "folder", d.dir, "error", err)
				}
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

// saveAtEnd stops the emulators that are kept, and saves them. Close calls it when the functions
// and the other servers have stopped.
func (l *Cloud) saveAtEnd() {
	if l.PubSub != nil {
		l.PubSub.Stop()
	}
	if l.Firestore != nil {
		l.Firestore.Close()
	}
	_ = l.data.saveChanges() // SavedAtEnd returns the error
}

// contents says how much the files have.
func (d *dataFolder) contents() string {
	var all []string
	for _, k := range d.kept {
		all = append(all, k.content)
	}
	return strings.Join(all, ", ")
}

// printLoaded prints what was read at the start.
func (l *Cloud) printLoaded(out io.Writer) {
	d := l.data
	if d == nil {
		return
	}
	if slices.ContainsFunc(d.kept, func(k *keptEmulator) bool { return k.found }) {
		fmt.Fprintf(out, "read from %s: %s\n", d.dir, d.contents())
	} else {
		fmt.Fprintf(out, "%s has no data yet: the emulators start empty, and save there every %s and at the end\n", d.dir, l.DataEvery)
	}
	for what, host := range map[string]string{"Firestore": l.FirestoreHost, "Pub/Sub": l.PubSubHost} {
		if host != "" && (what == "Firestore" && l.Firestore == nil || what == "Pub/Sub" && l.PubSub == nil) {
			fmt.Fprintf(out, "%s is another server, %s: -data does not keep it\n", what, host)
		}
	}
}

// SavedAtEnd returns a sentence about what Close has saved, or "" without -data. If the last save
// failed, it returns the error.
func (l *Cloud) SavedAtEnd() (string, error) {
	d := l.data
	if d == nil {
		return "", nil
	}
	d.saving.Lock()
	defer d.saving.Unlock()
	if d.err != nil {
		return "", fmt.Errorf("-data: the last changes are not saved: %w", d.err)
	}
	return fmt.Sprintf("saved in %s: %s", d.dir, d.contents()), nil
}

// count returns a number and a noun, "1 document" or "2 documents".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
