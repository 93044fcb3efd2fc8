//! tokio's queues with each message in a box of its own. A queue of tokio's holds a block of 32 messages from its
//! first day on; russh's are of 136 bytes, and five of its queues wait beside every idle session.

use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

/// The sending end of a bounded queue.
#[derive(Debug)]
pub struct Sender<T>(mpsc::Sender<Box<T>>);

/// The receiving end of a bounded queue.
#[derive(Debug)]
pub struct Receiver<T>(mpsc::Receiver<Box<T>>);

/// The sending end of a queue without a bound.
#[derive(Debug)]
pub struct UnboundedSender<T>(mpsc::UnboundedSender<Box<T>>);

/// The receiving end of a queue without a bound.
#[derive(Debug)]
pub struct UnboundedReceiver<T>(mpsc::UnboundedReceiver<Box<T>>);

/// A place in a bounded queue.
#[derive(Debug)]
pub struct OwnedPermit<T>(mpsc::OwnedPermit<Box<T>>);

/// A bounded queue.
pub fn channel<T>(size: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(size);
    (Sender(sender), Receiver(receiver))
}

/// A queue without a bound.
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (UnboundedSender(sender), UnboundedReceiver(receiver))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// As tokio's.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.0.send(Box::new(message)).await.map_err(|SendError(message)| SendError(*message))
    }

    /// As tokio's.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(Box::new(message)).map_err(|error| match error {
            TrySendError::Full(message) => TrySendError::Full(*message),
            TrySendError::Closed(message) => TrySendError::Closed(*message),
        })
    }

    /// As tokio's.
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        self.0.reserve_owned().await.map(OwnedPermit)
    }

    /// As tokio's.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl<T> OwnedPermit<T> {
    /// As tokio's.
    pub fn send(self, message: T) -> Sender<T> {
        Sender(self.0.send(Box::new(message)))
    }
}

impl<T> UnboundedSender<T> {
    /// As tokio's.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.0.send(Box::new(message)).map_err(|SendError(message)| SendError(*message))
    }
}

impl<T> Receiver<T> {
    /// As tokio's.
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(|message| *message)
    }

    /// As tokio's.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map(|message| *message)
    }

    /// As tokio's.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx).map(|message| message.map(|message| *message))
    }

    /// As tokio's.
    pub fn close(&mut self) {
        self.0.close();
    }
}

impl<T> UnboundedReceiver<T> {
    /// As tokio's.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// As tokio's.
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(|message| *message)
    }

    /// As tokio's.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map(|message| *message)
    }
}
