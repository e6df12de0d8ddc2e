// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package session finds out who a request to the dashboard is from.
//
// A Local server acts as the user who started it: the secret that it puts into the URL's
// fragment is changed once for a cookie. Tokens act as whoever signed in: the token is in
// the browser's cookie and nowhere else, so the server keeps no session and has no rights
// of its own. It trusts no token by itself; the API server does, or refuses.
package session
