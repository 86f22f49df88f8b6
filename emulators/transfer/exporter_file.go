package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// exportToFile writes to FILE.part, and renames it when it is complete. So FILE is never
// incomplete, and the former FILE stays until then.
func (x *exporter) exportToFile(ctx context.Context, name string, resume bool, out io.Writer) error {
	part := name + ".part"
	f, err := openPart(name, part, resume)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}

	defer f.Close()
	if resume {
		if err := x.resumePart(f); err != nil {
			return fmt.Errorf("export: %s: %w", part, err)
		}
	}

	x.out = bufio.NewWriter(f)
	if err = x.exportAll(ctx); err == nil {
		err = f.Sync() // before the rename, so that FILE is complete even after a power failure
	}

	switch {
	case err != nil && x.customers == 0:
		return errors.Join(err, os.Remove(part)) // an empty part is useless
	case err != nil:
		return fmt.Errorf("%w (%s has the complete lines so far; continue with -continue)", err, part)
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(part, name); err != nil {
		return err
	}

	fmt.Fprintf(out, "%d customers exported to %s\n", x.customers, name)
	return nil
}

// openPart creates the part, or opens the existing one if resume is true. It does not open
// an existing part without resume: the part may be old, may come from another deployment,
// or another process may be writing it.
func openPart(name, part string, resume bool) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; use - for standard output", name)
	}
	if resume {
		f, err := os.OpenFile(part, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("-continue: the file %s does not exist", part)
		}
		return f, err
	}

	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: another export was interrupted or still runs; use -continue, or remove the file", part)
	}
	return f, err
}

// resumePart reads a part up to its last complete line, and removes an incomplete line
// after it.
func (x *exporter) resumePart(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}

	whole := int64(0)
	for r := bufio.NewReaderSize(f, maxLineBytes); ; {
		line, err := wholeLine(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil {
			_, err = x.recordLine(line)
		}
		if err != nil {
			return fmt.Errorf("after %d customers: %w", x.customers, err)
		}
		whole += int64(len(line))
	}
	if x.customers > 0 {
		x.bar.Say(fmt.Sprintf("continuing after %d customers, whose lines are as of %s or older", x.customers, info.ModTime().Format(time.DateTime)))
	}
	if err := f.Truncate(whole); err != nil {
		return err
	}
	_, err = f.Seek(whole, io.SeekStart)
	return err
}
