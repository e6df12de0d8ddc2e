// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// MasterPort is where masters listen unless they are told otherwise.
const MasterPort = 19998

// Options of a Client.
type Options struct {
	// Address of the master, host:port.
	Address string
	// User is who reads.
	User string
	// Timeout of a call whose answer is one message; 0 means 30 s.
	Timeout time.Duration
	// Dial opens connections.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const defaultTimeout = 30 * time.Second

// workersAge is how long it is remembered which workers there are.
const workersAge = 10 * time.Second

// Client reads from one Alluxio. It is safe for use by several goroutines.
type Client struct {
	options Options

	mu      sync.Mutex
	master  *host
	workers map[string]*host
	live    []string
	asked   time.Time
}

// New returns a client. It does not connect yet.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Client{options: o, master: newHost(o.Address, o.User, o.Dial), workers: map[string]*host{}}
}

// Close frees idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.close()
	for _, w := range c.workers {
		w.close()
	}
}

// errSlow is why a call ended that took too long.
var errSlow = &source.Error{Op: "asking the master", Class: source.ErrUnreachable, Err: errors.New("it does not answer")}

func (c *Client) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.options.Timeout, errSlow)
}

// callMaster makes a call of the master. Where the address turns out to be the HTTP
// proxy's, the master beside it is asked.
func (c *Client) callMaster(ctx context.Context, method string, request wire.Message) (wire.Message, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	master := c.currentMaster()
	answer, err := master.callUnary(ctx, method, request)
	if err == nil || !c.isProxy(ctx, master, err) {
		return answer, err
	}
	beside, err := c.besideProxy(master)
	if err != nil {
		return nil, err
	}
	answer, err = beside.callUnary(ctx, method, request)
	if err != nil && !connect.IsWireError(err) {
		beside.close()
		return nil, &source.Error{Op: "asking " + beside.address, Class: source.ErrMisconfigured,
			Err: fmt.Errorf("%s speaks HTTP/1.1, as Alluxio's proxy does, which Kuda does not read from, and the master does not answer "+
				"beside it: %w; name the master's host and port, %d by default", master.address, err, MasterPort)}
	}
	c.moveTo(ctx, beside, master)
	return answer, err
}

func (c *Client) currentMaster() *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.master
}

// isProxy reports whether a server that failed speaks HTTP/1.1.
func (c *Client) isProxy(ctx context.Context, h *host, err error) bool {
	if ctx.Err() != nil || connect.IsWireError(err) {
		return false
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return false
	}
	conn, err := c.options.Dial(ctx, "tcp", h.address)
	if err != nil {
		return false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", h.address); err != nil {
		return false
	}
	begin := make([]byte, len("HTTP/1."))
	_, err = io.ReadFull(conn, begin)
	return err == nil && string(begin) == "HTTP/1."
}

// besideProxy returns the master on the host of a proxy.
func (c *Client) besideProxy(proxy *host) (*host, error) {
	name, _, err := net.SplitHostPort(proxy.address)
	if err != nil {
		return nil, err
	}
	return newHost(net.JoinHostPort(name, strconv.Itoa(MasterPort)), c.options.User, c.options.Dial), nil
}

// moveTo goes over from a proxy to the master beside it, for good.
func (c *Client) moveTo(ctx context.Context, master, proxy *host) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master != proxy { // another call was first
		master.close()
		return
	}
	source.Note(ctx, fmt.Sprintf("%s is Alluxio's proxy; the master at %s is read from instead; name its port", proxy.address, master.address))
	proxy.close()
	c.master = master
}

// Status returns what the master knows of a path.
func (c *Client) Status(ctx context.Context, path string, sync wire.Sync) (*wire.FileInfo, error) {
	answer, err := c.callMaster(ctx, wire.GetStatus, wire.StatusRequest(path, sync))
	if err != nil {
		return nil, err
	}
	f, err := wire.ParseStatus(answer)
	if err == nil && !f.Folder && f.Completed {
		err = f.Check()
	}
	return &f, err
}

// List calls take with everything in a directory, until it returns false. The master is
// to have been asked for the directory before.
func (c *Client) List(ctx context.Context, path string, sync wire.Sync, take func(*wire.FileInfo) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	master := c.currentMaster()
	channel, err := master.signIn(ctx)
	if err != nil {
		return err
	}
	l := master.getLane()
	defer master.putLane(l)
	message := wire.ListRequest(path, sync)
	request := connect.NewRequest(&message)
	setChannel(request.Header(), channel)
	stream, err := newCall[wire.Message](l, wire.ListStatus).CallServerStream(ctx, request)
	if err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = stream.Close() // the outcome no longer matters
	}()
	for stream.Receive() {
		source.Alive(ctx)
		page, err := wire.ParseList(*stream.Msg())
		if err != nil {
			return err
		}
		for i := range page {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if !take(&page[i]) {
				return nil
			}
		}
	}
	return stream.Err()
}

// Workers returns where the live workers are, host:port, sorted.
func (c *Client) Workers(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	live, age := c.live, time.Since(c.asked)
	c.mu.Unlock()
	if len(live) > 0 && age < workersAge {
		return live, nil
	}
	answer, err := c.callMaster(ctx, wire.Workers, nil)
	if err != nil {
		return nil, err
	}
	if live, err = wire.ParseWorkers(answer); err != nil {
		return nil, err
	}
	slices.Sort(live)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.asked = live, time.Now()
	return live, nil
}

// forgetWorkers has the master asked for the workers again.
func (c *Client) forgetWorkers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = nil
}

// manyWorkers is from how many workers on those are forgotten that are no longer there.
const manyWorkers = 256

func (c *Client) worker(address string) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.workers[address]
	if w == nil {
		if len(c.workers) >= manyWorkers {
			c.forgetGoneWorkers()
		}
		w = newHost(address, c.options.User, c.options.Dial)
		c.workers[address] = w
	}
	return w
}

// forgetGoneWorkers closes the connections of workers that the master does not name any
// more: each comes back under another address, where it runs in a pod.
func (c *Client) forgetGoneWorkers() {
	if len(c.live) == 0 {
		return // they are being asked for
	}
	for address, w := range c.workers {
		if _, live := slices.BinarySearch(c.live, address); !live {
			w.close()
			delete(c.workers, address)
		}
	}
}

// ErrNoWorker says that no worker is there.
var ErrNoWorker = errors.New("the master knows no live worker")

// chooseWorkers returns the workers to ask for a block, the best first: those that hold
// it, then all others. Of equals, a hash of the block decides, so that all clients ask
// the same one, and the block is not held twice.
func chooseWorkers(b wire.Block, live []string) []string {
	all := slices.Clone(live)
	holds := func(address string) bool { return slices.Contains(b.Workers, address) }
	slices.SortStableFunc(all, func(x, y string) int {
		if holds(x) != holds(y) {
			if holds(x) {
				return -1
			}
			return 1
		}
		return int(rank(b.ID, y)>>1) - int(rank(b.ID, x)>>1)
	})
	return all
}

// rank is a worker's place for a block.
func rank(id int64, address string) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d", address, id)
	return h.Sum32()
}

// Holder returns the worker that is to hold a block, host:port.
func (c *Client) Holder(ctx context.Context, b wire.Block) (string, error) {
	live, err := c.Workers(ctx)
	if err != nil {
		return "", err
	}
	if len(live) == 0 {
		return "", ErrNoWorker
	}
	return chooseWorkers(b, live)[0], nil
}

// Load has a worker read a block from the storage behind it, and returns when it holds it,
// or when another request of the kind is on its way. How long that may take is ctx's matter.
func (c *Client) Load(ctx context.Context, worker string, f *wire.FileInfo, b wire.Block) error {
	host, portText, err := net.SplitHostPort(worker)
	if err != nil {
		return fmt.Errorf("reading the address of a worker: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("reading the port of a worker: %w", err)
	}
	_, err = c.worker(worker).callUnary(ctx, wire.Cache, wire.CacheRequest(host, port, f, b))
	if err != nil && !connect.IsWireError(err) {
		c.forgetWorkers()
	}
	return err
}
