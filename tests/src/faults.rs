//! A proxy that stands before a real server and does to its connections what networks do: it knows bytes and nothing of
//! what they say, so it stands before TLS too. For tests; it ends with them.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What is done to connections that begin now. Bytes are counted on their way from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// They are closed at once.
    Closed,
    /// They are reset when something was asked.
    Reset,
    /// They are held, and nothing ever comes.
    Silent,
    /// They are closed after so many bytes.
    CutAfter(usize),
    /// This byte, counted from 0, arrives changed.
    Garbled(usize),
    /// So many bytes at a time, with a pause after each.
    Slow(usize, Duration),
}

/// The proxy.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<(Fault, usize)>,
    accepted: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, (Fault, usize)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// In front of `server`, on a port of the loopback that is free.
    ///
    /// # Errors
    /// There is no port.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { state: Mutex::new((Fault::None, 0)), accepted: Condvar::new() });
        let proxy = Self { port, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let fault = {
                    let mut state = shared.state();
                    state.1 += 1;
                    shared.accepted.notify_all();
                    state.0
                };
                thread::spawn(move || carry(client, server, fault));
            }
        });
        Ok(proxy)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on this is done.
    pub fn set(&self, fault: Fault) {
        self.shared.state().0 = fault;
    }

    /// Waits for so many more connections; false if they do not come in time.
    pub fn await_connections(&self, more: usize, patience: Duration) -> bool {
        let state = self.shared.state();
        let enough = state.1 + more;
        let wait = self.shared.accepted.wait_timeout_while(state, patience, |state| state.1 < enough);
        wait.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }
}

/// One connection; it ends when either side has nothing more to say, or cannot be reached.
fn carry(mut client: TcpStream, server: SocketAddr, fault: Fault) {
    match fault {
        Fault::Closed => return,
        // What is closed with something unread is reset.
        Fault::Reset => return drop(client.peek(&mut [0])),
        Fault::Silent => return drop(io::copy(&mut client, &mut io::sink())),
        _ => {}
    }
    let Ok(mut up) = TcpStream::connect(server) else { return };
    let (Ok(mut asks), Ok(mut down)) = (client.try_clone(), up.try_clone()) else { return };
    thread::spawn(move || {
        let _ = io::copy(&mut asks, &mut up);
        let _ = up.shutdown(Shutdown::Write);
    });
    let _ = answer(&mut down, &mut client, fault);
    let _ = client.shutdown(Shutdown::Both);
    let _ = down.shutdown(Shutdown::Both);
}

fn answer(from: &mut impl Read, to: &mut impl Write, fault: Fault) -> io::Result<()> {
    let (mut buffer, mut passed) = ([0; 4096], 0);
    let step = if let Fault::Slow(bytes, _) = fault { bytes.clamp(1, buffer.len()) } else { buffer.len() };
    loop {
        let room =
            if let Fault::CutAfter(bytes) = fault { bytes.saturating_sub(passed).min(step) } else { step };
        let read = from.read(buffer.get_mut(..room).unwrap_or_default())?;
        let Some(bytes) = buffer.get_mut(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        if let Fault::Garbled(at) = fault
            && let Some(byte) = at.checked_sub(passed).and_then(|at| bytes.get_mut(at))
        {
            *byte ^= 0x20;
        }
        to.write_all(bytes)?;
        passed += read;
        if let Fault::Slow(_, pause) = fault {
            thread::sleep(pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const SAYS: &[u8] = &[b'x'; 10_000];

    /// Reads a byte, answers, and closes.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                if client.read_exact(&mut [0]).is_ok() {
                    let _ = client.write_all(SAYS);
                }
            }
        });
        address
    }

    fn ask(proxy: &Proxy, patience: Duration) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"?")?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn each_fault_is_what_it_says() {
        let proxy = Proxy::new(server()).unwrap();
        let under = |fault| {
            proxy.set(fault);
            ask(&proxy, PATIENCE)
        };
        assert_eq!(under(Fault::None).unwrap(), SAYS);
        assert_eq!(under(Fault::CutAfter(5000)).unwrap(), &SAYS[..5000]);
        assert_eq!(under(Fault::CutAfter(0)).unwrap(), b"");
        assert_eq!(under(Fault::Slow(3000, Duration::from_millis(1))).unwrap(), SAYS);
        for at in [0, 4095, 4096, 9999] {
            let garbled = under(Fault::Garbled(at)).unwrap();
            let wrong: Vec<usize> = (0..SAYS.len()).filter(|i| garbled[*i] != SAYS[*i]).collect();
            assert_eq!((garbled.len(), wrong), (SAYS.len(), vec![at]));
        }
        // Closed before or after the question arrived.
        assert!(under(Fault::Closed).map_or(true, |said| said.is_empty()));
        assert_eq!(under(Fault::Reset).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        proxy.set(Fault::Silent);
        let kind = ask(&proxy, Duration::from_millis(20)).unwrap_err().kind();
        assert!(matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{kind:?}");
    }

    #[test]
    fn connections_are_waited_for() {
        let proxy = Proxy::new(server()).unwrap();
        assert!(!proxy.await_connections(1, Duration::ZERO));
        thread::scope(|scope| {
            let waits = scope.spawn(|| proxy.await_connections(2, PATIENCE));
            while !waits.is_finished() {
                ask(&proxy, PATIENCE).unwrap();
            }
            assert!(waits.join().unwrap());
        });
    }
}
