// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	v1 "microstax/api/v1"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// LogQuery selects log lines.
type LogQuery struct {
	Service string // "" for all that the environment itself runs
	Role    string // "" for all
	Tail    int    // newest lines of each instance; 0 for all that is kept
	Follow  bool
}

// Logs calls each for every line, from the caller's goroutine, and stops with its first error. Without Follow the instances
// come one after the other; with it their lines mix as they are written, and it returns only when ctx ends. A service that
// is inherited is read where it runs. At most 64 instances are followed at once.
func (c *Controller) Logs(ctx context.Context, ref string, q LogQuery, each func(v1.LogLine) error) error {
	const op = "read logs"
	a, err := c.find(ctx, op, ref)
	if err != nil {
		return err
	}
	sources, err := c.sources(op, a.id, q)
	if err != nil {
		return err
	}
	if q.Follow {
		return c.follow(ctx, sources, q, each)
	}
	for _, i := range sources {
		if err := c.read(ctx, i, q, each); err != nil {
			return fault.E(op, fault.KindOf(err), err)
		}
	}
	return nil
}

// sources are the instances whose logs a query selects: every one that ever had a port.
func (c *Controller) sources(op, id string, q LogQuery) ([]environment.Instance, error) {
	m := newWorld(c.states()).members[id]
	if m == nil {
		return nil, fault.Errorf(op, fault.NotFound, "environment %s is deleted", id)
	}
	from := []*member{m}
	if q.Service != "" {
		if _, ok := m.service(q.Service); !ok {
			return nil, fault.Errorf(op, fault.NotFound, "%s has no service %q", m.title(), q.Service).
				WithHint("its services are %s", list(m.whole.ServiceNames()))
		}
		if p := m.provider(q.Service); p != m {
			from = append(from, p)
		}
	}
	var out []environment.Instance
	for _, at := range from {
		for _, key := range sortedKeys(at.Env.Ports) {
			i := instanceOf(at.Env.ID, key)
			if (q.Service == "" || i.Service == q.Service) && (q.Role == "" || string(i.Role) == q.Role) &&
				(at == m || i.Role == environment.Primary) && len(out) < maxSources {
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// read gives the lines of one instance until they end or ctx does.
func (c *Controller) read(ctx context.Context, i environment.Instance, q LogQuery, each func(v1.LogLine) error) error {
	r, err := c.driver.Logs(ctx, i, q.Tail, q.Follow)
	if fault.Is(err, fault.NotFound) {
		return nil // it never ran
	}
	if err != nil {
		return fmt.Errorf("open log of %s: %w", i.Key(), err)
	}
	defer r.Close()
	b := bufio.NewReaderSize(r, maxLogLine)
	for {
		text, err := line(b)
		if err == nil || text != "" {
			l := v1.LogLine{Service: i.Service, Role: string(i.Role), Replica: i.Replica, Line: text}
			if err := each(l); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log of %s: %w", i.Key(), err)
		}
	}
}

// line reads one line without its end. What is longer than the reader's buffer is cut, with a mark.
func line(b *bufio.Reader) (string, error) {
	text, more, err := b.ReadLine()
	if err != nil {
		return "", err //nolint:wrapcheck // io.EOF has to stay what it is
	}
	out := string(text)
	for cut := false; more; {
		if !cut {
			out, cut = out+" … (cut)", true
		}
		if _, more, err = b.ReadLine(); err != nil {
			return out, err //nolint:wrapcheck // as above
		}
	}
	return out, nil
}

// follow reads all instances at once.
func (c *Controller) follow(ctx context.Context, sources []environment.Instance, q LogQuery, each func(v1.LogLine) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	lines := make(chan v1.LogLine) // unbuffered: a slow reader slows the files' reading down, nothing else
	var readers sync.WaitGroup
	defer func() { cancel(nil); readers.Wait() }()
	for _, i := range sources {
		readers.Go(func() {
			err := c.read(ctx, i, q, func(l v1.LogLine) error {
				select {
				case lines <- l:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	for {
		select {
		case l := <-lines:
			if err := each(l); err != nil {
				return err
			}
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				return fault.E("follow logs", fault.KindOf(err), err)
			}
			return nil
		case <-c.life.Done():
			return nil
		}
	}
}
