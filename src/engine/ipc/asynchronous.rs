//! Frames over tokio streams, for the callers of the engine.

use super::{Frame, FrameError, HEADER_BYTES, Header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads one frame; `None` when the other side closed between two frames. Memory grows with what has arrived.
///
/// # Errors
/// [`FrameError`]; the stream is of no use after one.
pub async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Frame>, FrameError> {
    let mut header = [0u8; HEADER_BYTES];
    let Some(first) = header.first_chunk_mut::<1>() else {
        return Err(FrameError::Truncated);
    };
    if stream.read(first).await? == 0 {
        return Ok(None);
    }
    stream
        .read_exact(header.get_mut(1..).unwrap_or_default())
        .await
        .map_err(truncated)?;
    let header = Header::parse(&header)?;
    let mut payload = Vec::new();
    let wanted = u64::try_from(header.payload_bytes).unwrap_or(u64::MAX);
    let read = stream.take(wanted).read_to_end(&mut payload).await?;
    if read != header.payload_bytes {
        return Err(FrameError::Truncated);
    }
    Ok(Some(header.with(payload)))
}

fn truncated(error: std::io::Error) -> FrameError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        FrameError::Truncated
    } else {
        FrameError::Io(error)
    }
}

/// Writes one frame and flushes it. Not safe to cancel: a frame that was begun must be finished.
///
/// # Errors
/// [`FrameError::TooLong`] before anything is written; [`FrameError::Io`].
pub async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: &Frame,
) -> Result<(), FrameError> {
    let header = frame.header()?;
    stream.write_all(&header).await?;
    stream.write_all(&frame.payload).await?;
    stream.flush().await?;
    Ok(())
}
